//! The outcome law, over every adapter: whatever comes back, nothing is said to have happened, or not to have happened,
//! that the answer does not prove. A new adapter joins by a [`Subject`].

use crate::{AMOUNT, ID, attempt};
use gateway::{Adapter, Answer, Asked, Kind, Operation, Sandbox, Sent};
use proptest::prelude::*;
use wire::Currency;

struct Subject {
    adapter: Box<dyn Adapter>,
    /// Does the gateway document this answer as "not executed"?
    not_executed: fn(u16, &[u8]) -> bool,
    /// Answers that the gateway gives, about attempt `ID` and 42.00 GBP: the words that mutations are made from.
    answers: fn() -> Vec<(u16, String)>,
}

fn subjects() -> Vec<Subject> {
    vec![
        Subject {
            adapter: Box::new(Sandbox::new(Sandbox::TEST_KEY.to_owned())),
            not_executed: crate::sandbox::documented,
            answers: crate::sandbox::answers,
        },
        Subject {
            adapter: Box::new(crate::stripe::stripe()),
            not_executed: crate::stripe::documented,
            answers: crate::stripe::answers,
        },
        Subject {
            adapter: Box::new(crate::pay_connector::connector()),
            not_executed: crate::pay_connector::documented,
            answers: crate::pay_connector::answers,
        },
        Subject {
            adapter: Box::new(crate::adyen::adyen()),
            not_executed: crate::adyen::documented,
            answers: crate::adyen::answers,
        },
    ]
}

const STATUSES: [u16; 17] = [200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503, 504];

fn operations() -> impl Strategy<Value = Operation> {
    let kind = prop::sample::select(Kind::ALL.to_vec());
    let asked = prop::sample::select(vec![
        Asked::Directly,
        Asked::ByInquiry { settled: false },
        Asked::ByInquiry { settled: true },
    ]);
    (kind, asked).prop_map(|(kind, asked)| {
        let moves_money = !matches!(kind, Kind::Store | Kind::DeleteStored);
        Operation { asked, ..Operation::direct(kind, attempt(), moves_money.then_some(AMOUNT)) }
    })
}

/// A gateway's words with something wrong, or none of its words.
fn mutated(words: Vec<(u16, String)>) -> impl Strategy<Value = (u16, Vec<u8>)> {
    let change = prop_oneof![
        Just((String::new(), String::new())),
        Just((ID.to_owned(), "00000000-0000-4000-8000-000000000008".to_owned())),
        prop::sample::select(vec!["4201", "4199", "0", "-4200", "42.00", "null", "99999999999999999999"])
            .prop_map(|amount| ("4200".to_owned(), amount.to_owned())),
        prop::sample::select(vec!["EUR", "eur", "XXX", ""]).prop_map(|code| ("GBP".to_owned(), code.to_owned())),
    ];
    let status = prop_oneof![4 => Just(None), 1 => prop::sample::select(STATUSES.to_vec()).prop_map(Some)];
    let cut = prop_oneof![4 => Just(usize::MAX), 1 => 0..400_usize];
    let told = (prop::sample::select(words), change, status, cut).prop_map(|((own, text), (from, to), status, cut)| {
        let text = if from.is_empty() { text } else { text.replace(&from, &to) };
        (status.unwrap_or(own), text.as_bytes()[..text.len().min(cut)].to_vec())
    });
    let noise = (100..600_u16, prop::collection::vec(any::<u8>(), 0..60));
    prop_oneof![4 => told, 1 => noise]
}

fn broken_law(subject: &Subject, operation: Operation, status: u16, body: &[u8]) -> Option<&'static str> {
    let answer = subject.adapter.parse(operation, Sent::Response { status, body: body.to_vec() });
    // That something is gone may be said without a word.
    let is_gone = operation.kind == Kind::DeleteStored && status == 204;
    let readable = std::str::from_utf8(body).is_ok_and(|text| !text.is_empty() || is_gone);
    match (&answer, operation.asked) {
        (Answer::Rejected, Asked::ByInquiry { .. }) => Some("an inquiry never proves that nothing was executed"),
        (Answer::Rejected, Asked::Directly) if !(subject.not_executed)(status, body) => Some("an undocumented refusal"),
        (Answer::Abandoned, Asked::Directly) => Some("an attempt is never abandoned by its own answer"),
        (Answer::Abandoned, Asked::ByInquiry { settled: false }) => Some("abandoned within the settle window"),
        (Answer::Approved(_) | Answer::Declined { .. } | Answer::ActionRequired, _) if !readable => Some("of noise"),
        (Answer::Approved(_), _) if status >= 500 => Some("approved by a failure"),
        (Answer::Approved(approval), _) => {
            let texts = [&approval.auth_code, &approval.gateway_ref].into_iter().chain(&approval.token);
            let mut texts = texts.chain(&approval.network_transaction_id);
            match (operation.amount, approval.amount) {
                (None, Some(_)) | (Some(_), None) => Some("money where none was asked, or none where it was"),
                (_, Some(of)) if !operation.agrees(attempt(), Some(of)) => Some("another amount than was asked"),
                _ if texts.any(|text| wire::name_pan_like(text)) => Some("passes a card number on"),
                _ => None,
            }
        }
        _ => None,
    }
}

#[test]
fn a_transport_fault_is_rejected_only_before_the_first_byte_of_the_attempt_itself() {
    for subject in subjects() {
        for kind in Kind::ALL {
            let direct = Operation::direct(kind, attempt(), Some(AMOUNT));
            assert_eq!(subject.adapter.parse(direct, Sent::NotSent), Answer::Rejected);
            assert!(!subject.adapter.parse(direct, Sent::Broken).is_final());
            for sent in [Sent::NotSent, Sent::Broken] {
                assert!(!subject.adapter.parse(direct.inquiry(true), sent).is_final());
            }
        }
    }
}

#[test]
fn an_answer_that_is_too_long_is_none() {
    for subject in subjects() {
        let (status, text) = (subject.answers)().swap_remove(0);
        let mut body = text.into_bytes();
        body.resize(gateway::ANSWER_BYTES_MAX + 1, b' ');
        let direct = Operation::direct(Kind::Authorize, attempt(), Some(AMOUNT));
        assert!(!subject.adapter.parse(direct, Sent::Response { status, body }).is_final());
    }
}

/// Without this the law would hold for an adapter that says "unknown" to everything.
#[test]
fn each_adapter_reads_its_own_approval_and_decline() {
    for subject in subjects() {
        let direct = Operation::direct(Kind::Authorize, attempt(), Some(AMOUNT));
        let read = |(status, text): (u16, String)| {
            subject.adapter.parse(direct, Sent::Response { status, body: text.into_bytes() })
        };
        let answers: Vec<Answer> = (subject.answers)().into_iter().map(read).collect();
        let name = subject.adapter.caps().name;
        assert!(answers.iter().any(|answer| matches!(answer, Answer::Approved(_))), "{name}: {answers:?}");
        assert!(answers.iter().any(|answer| matches!(answer, Answer::Declined { .. })), "{name}: {answers:?}");
        assert_eq!(AMOUNT.currency, Currency::GBP);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]
    #[test]
    fn the_outcome_law(
        (which, operation, (status, body)) in (0..subjects().len()).prop_flat_map(|which| {
            (Just(which), operations(), mutated((subjects()[which].answers)()))
        })
    ) {
        let subject = &subjects()[which];
        let broken = broken_law(subject, operation, status, &body);
        prop_assert!(broken.is_none(), "{}: {:?}", subject.adapter.caps().name, broken);
    }
}
