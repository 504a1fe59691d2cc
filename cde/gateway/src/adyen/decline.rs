//! Adyen's refusal reasons (docs.adyen.com/development-resources/refusal-reasons), as kinds of decline.

use crate::answer::Advice;
use wire::DeclineClass;

/// What a `refusalReasonCode` means to the agent.
pub(super) fn class(code: &str) -> DeclineClass {
    match code {
        "2" | "3" | "26" | "27" => DeclineClass::DoNotHonor,
        "4" | "9" => DeclineClass::BankDown,
        "6" => DeclineClass::ExpiredCard,
        "8" => DeclineClass::NoSuchCard,
        "12" | "28" | "29" => DeclineClass::InsufficientFunds,
        "24" => DeclineClass::WrongCvv,
        "7" | "10" | "23" | "25" | "46" => DeclineClass::NotAllowed,
        "5" | "14" | "20" | "22" | "31" => DeclineClass::LostOrStolen,
        "11" | "38" | "42" => DeclineClass::AuthenticationRequired,
        "32" => DeclineClass::WrongAddress,
        _ => DeclineClass::Other,
    }
}

/// Whether it may be tried again.
pub(super) fn advice(code: &str) -> Option<Advice> {
    match code {
        "26" => Some(Advice::EndAgreement),
        "5" | "14" | "20" | "22" | "31" | "46" => Some(Advice::Never),
        "6" | "8" | "24" => Some(Advice::FixData),
        "4" | "9" | "12" | "28" | "29" => Some(Advice::Later),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_nobody_knows_is_no_special_decline() {
        assert_eq!(class("24"), DeclineClass::WrongCvv);
        assert_eq!([class(""), class("024"), class("99")], [DeclineClass::Other; 3]);
        assert_eq!([advice("26"), advice("2")], [Some(Advice::EndAgreement), None]);
    }
}
