//! The card networks' response codes, as kinds of decline.

use wire::DeclineClass;

/// What a response code means to the agent. Codes of ISO 8583 field 39 as Visa and Mastercard use them; a code that is
/// not listed is `Other`.
pub fn class(network_code: &str) -> DeclineClass {
    match network_code {
        "51" | "61" => DeclineClass::InsufficientFunds,
        "05" => DeclineClass::DoNotHonor,
        "33" | "54" => DeclineClass::ExpiredCard,
        "82" | "N7" => DeclineClass::WrongCvv,
        "57" | "58" | "62" | "78" => DeclineClass::NotAllowed,
        "04" | "07" | "41" | "43" | "59" => DeclineClass::LostOrStolen,
        "14" | "15" | "46" => DeclineClass::NoSuchCard,
        "65" | "1A" => DeclineClass::AuthenticationRequired,
        "91" | "96" => DeclineClass::BankDown,
        _ => DeclineClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_nobody_knows_is_no_special_decline() {
        assert_eq!(class("N7"), DeclineClass::WrongCvv);
        assert_eq!([class(""), class("ZZ"), class("5")], [DeclineClass::Other; 3]);
    }
}
