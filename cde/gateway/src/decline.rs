//! The card networks' response codes, as kinds of decline.

use crate::answer::Advice;
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

/// Whether a charge that was declined with this code may be tried again. Visa's categories of response codes: 1 is never,
/// 2 later, 3 with other data, and the codes with which a cardholder has ended an agreement (R0, R1, R3). A code that is
/// not listed says nothing.
pub fn advice(network_code: &str) -> Option<Advice> {
    match network_code {
        "R0" | "R1" | "R3" => Some(Advice::EndAgreement),
        "04" | "07" | "12" | "14" | "15" | "41" | "43" | "46" | "57" => Some(Advice::Never),
        "54" | "55" | "82" | "N7" => Some(Advice::FixData),
        "03" | "05" | "19" | "51" | "59" | "61" | "62" | "65" | "75" | "78" | "91" | "93" | "96" => Some(Advice::Later),
        _ => None,
    }
}

/// The same by Mastercard's merchant advice code, which goes before the response code where there is one: 01 and 02 (new
/// data, later, which Mastercard has begin after 72 hours), 03 (never), 21 (the cardholder has ended the agreement), 24 to 30 (after
/// an hour, or 1, 2, 4, 6, 8 or 10 days).
pub fn merchant_advice(code: &str) -> Option<Advice> {
    match code {
        "01" => Some(Advice::FixData),
        "02" => Some(Advice::After { hours: 72 }),
        "24" => Some(Advice::After { hours: 1 }),
        "25" => Some(Advice::After { hours: 24 }),
        "26" => Some(Advice::After { hours: 48 }),
        "27" => Some(Advice::After { hours: 96 }),
        "28" => Some(Advice::After { hours: 144 }),
        "29" => Some(Advice::After { hours: 192 }),
        "30" => Some(Advice::After { hours: 240 }),
        "03" => Some(Advice::Never),
        "21" => Some(Advice::EndAgreement),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cardholder_who_ended_the_agreement_is_not_charged_again() {
        assert_eq!([advice("R1"), merchant_advice("21")], [Some(Advice::EndAgreement); 2]);
        assert_eq!(
            [advice("41"), advice("51"), advice("54")],
            [Advice::Never, Advice::Later, Advice::FixData].map(Some)
        );
        assert_eq!([advice("00"), advice(""), merchant_advice("99")], [None; 3]);
        assert_eq!(merchant_advice("30"), Some(Advice::After { hours: 240 }));
    }

    #[test]
    fn a_code_that_nobody_knows_is_no_special_decline() {
        assert_eq!(class("N7"), DeclineClass::WrongCvv);
        assert_eq!([class(""), class("ZZ"), class("5")], [DeclineClass::Other; 3]);
    }
}
