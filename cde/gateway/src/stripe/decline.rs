//! Stripe's decline codes, as kinds of decline (docs.stripe.com/declines/codes, docs.stripe.com/error-codes).

use crate::answer::Advice;
use wire::DeclineClass;

/// What a `decline_code`, or where there is none a `code`, means to the agent.
pub(crate) fn class(code: &str) -> DeclineClass {
    match code {
        "insufficient_funds" | "card_velocity_exceeded" | "withdrawal_count_limit_exceeded" => {
            DeclineClass::InsufficientFunds
        }
        "card_declined"
        | "generic_decline"
        | "do_not_honor"
        | "call_issuer"
        | "no_action_taken"
        | "do_not_try_again"
        | "approve_with_id"
        | "stop_payment_order"
        | "revocation_of_authorization"
        | "revocation_of_all_authorizations" => DeclineClass::DoNotHonor,
        "expired_card" | "invalid_expiry_month" | "invalid_expiry_year" => DeclineClass::ExpiredCard,
        "incorrect_cvc" | "invalid_cvc" => DeclineClass::WrongCvv,
        "incorrect_zip" | "incorrect_address" | "postal_code_invalid" => DeclineClass::WrongAddress,
        "transaction_not_allowed"
        | "card_not_supported"
        | "currency_not_supported"
        | "not_permitted"
        | "service_not_allowed"
        | "security_violation"
        | "restricted_card"
        | "invalid_amount"
        | "testmode_decline"
        | "live_mode_test_card" => DeclineClass::NotAllowed,
        "lost_card" | "stolen_card" | "pickup_card" | "fraudulent" | "merchant_blacklist" => DeclineClass::LostOrStolen,
        "incorrect_number"
        | "invalid_number"
        | "invalid_account"
        | "new_account_information_available"
        | "resource_missing" => DeclineClass::NoSuchCard,
        "authentication_required" | "authentication_not_handled" | "payment_intent_authentication_failure" => {
            DeclineClass::AuthenticationRequired
        }
        "issuer_not_available" | "processing_error" | "reenter_transaction" | "try_again_later" => {
            DeclineClass::BankDown
        }
        _ => DeclineClass::Other,
    }
}

/// Whether it may be tried again: by Stripe's `advice_code` where there is one, else by the decline code.
pub(super) fn advice(advice_code: Option<&str>, code: &str) -> Option<Advice> {
    match (code, advice_code) {
        ("stop_payment_order" | "revocation_of_authorization" | "revocation_of_all_authorizations", _) => {
            Some(Advice::EndAgreement)
        }
        (_, Some("do_not_try_again")) | ("lost_card" | "stolen_card" | "pickup_card" | "do_not_try_again", None) => {
            Some(Advice::Never)
        }
        (_, Some("confirm_card_data")) | ("expired_card" | "incorrect_cvc" | "incorrect_number", None) => {
            Some(Advice::FixData)
        }
        (_, Some("try_again_later")) | ("insufficient_funds" | "issuer_not_available" | "try_again_later", None) => {
            Some(Advice::Later)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_nobody_knows_is_no_special_decline() {
        assert_eq!(class("incorrect_cvc"), DeclineClass::WrongCvv);
        assert_eq!([class(""), class("INSUFFICIENT_FUNDS"), class("x")], [DeclineClass::Other; 3]);
    }

    #[test]
    fn what_stripe_advises_goes_before_what_the_code_suggests() {
        assert_eq!(advice(Some("do_not_try_again"), "insufficient_funds"), Some(Advice::Never));
        assert_eq!(advice(None, "insufficient_funds"), Some(Advice::Later));
        assert_eq!(advice(Some("try_again_later"), "revocation_of_authorization"), Some(Advice::EndAgreement));
        assert_eq!(advice(None, "generic_decline"), None);
    }
}
