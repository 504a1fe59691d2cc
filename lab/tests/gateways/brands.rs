//! The brand table beside another's: npm `credit-card-type`.

use crate::servers::file;
use std::io::Write;
use std::process::{Command, Stdio};
use wire::Brand;

/// First line: lengths and code of each brand that is named as an argument. Then, for each number, its brands.
const SCRIPT: &str = r#"
const card = require("credit-card-type");
const types = card.default || card;
const facts = name => { const info = types.getTypeInfo(name); return [info.lengths.join("/"), info.code.size].join(","); };
console.log(process.argv.slice(1).map(facts).join(" "));
const numbers = require("fs").readFileSync(0, "utf8").trim().split("\n");
console.log(numbers.map(number => types(number).map(found => found.type).join("|")).join("\n"));
"#;

const BRANDS: [Brand; 15] = [
    Brand::Visa,
    Brand::Mastercard,
    Brand::Amex,
    Brand::Diners,
    Brand::Discover,
    Brand::Troy,
    Brand::Jcb,
    Brand::UnionPay,
    Brand::Naranja,
    Brand::Verve,
    Brand::Maestro,
    Brand::Elo,
    Brand::Mir,
    Brand::Hiper,
    Brand::Hipercard,
];

fn theirs(brand: Brand) -> &'static str {
    match brand {
        Brand::Visa => "visa",
        Brand::Mastercard => "mastercard",
        Brand::Amex => "american-express",
        Brand::Diners => "diners-club",
        Brand::Discover => "discover",
        Brand::Jcb => "jcb",
        Brand::UnionPay => "unionpay",
        Brand::Maestro => "maestro",
        Brand::Elo => "elo",
        Brand::Mir => "mir",
        Brand::Hiper => "hiper",
        Brand::Hipercard => "hipercard",
        Brand::Verve => "verve",
        Brand::Naranja => "naranja",
        Brand::Troy => "troy",
    }
}

fn ask(numbers: &[String]) -> Vec<String> {
    let mut command = Command::new("node");
    command.args(["-e", SCRIPT]).args(BRANDS.map(theirs)).current_dir(file(""));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = numbers.join("\n");
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().expect("run `cargo xtask test` once, which installs credit-card-type");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_prefix_has_the_brand_that_another_table_gives_it() {
    // All prefixes of five digits, at both ends of what may follow them.
    let numbers: Vec<String> =
        (0..100_000).flat_map(|prefix| ["000", "999"].map(|rest| format!("{prefix:05}{rest}"))).collect();
    let mut lines = ask(&numbers).into_iter();
    let facts = lines.next().unwrap();
    for (brand, fact) in BRANDS.iter().zip(facts.split(' ')) {
        let lengths: Vec<String> = brand.facts().lengths.iter().map(ToString::to_string).collect();
        assert_eq!(format!("{},{}", lengths.join("/"), brand.facts().cvv_length), fact, "{brand:?}");
    }
    let mut known = 0;
    for (number, line) in numbers.iter().zip(lines) {
        let ours = Brand::of(number.as_bytes()).map(theirs).unwrap_or_default();
        assert_eq!(ours, line, "{number}");
        known += usize::from(!ours.is_empty());
    }
    assert!(known > 50_000, "only {known} prefixes have a brand");
}
