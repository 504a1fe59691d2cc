//! With the mask switched off what is checked of the agent leg in every case must fail.

use crate::line::Line;

#[test]
#[should_panic(expected = "the mask's own sound only")]
fn without_the_mask_a_key_is_found_on_the_agent_leg() {
    let mut line = Line::secured();
    line.press("4");
    line.keys();
}
