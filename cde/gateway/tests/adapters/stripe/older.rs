//! Stripe: a charge that is further down than one inquiry reads, on an account that goes on taking payments meanwhile.

use super::*;
use gateway::INQUIRY_STEPS_MAX;

/// PaymentIntents that the account makes a second.
const PER_SECOND: usize = 134;
const PAGE: usize = 100;

/// Who made it, when (Unix seconds), and whether it only keeps the key.
type Row = (AttemptId, i64, bool);

/// An account whose search is behind, and which says nothing of a key but what it is told to say.
struct Account {
    rows: Vec<Row>,
    /// How it answers whoever takes the key of our attempt.
    to_fence: fn() -> Sent,
    fences_asked: usize,
    /// Every page and search that was asked for, the first of each inquiry after a `-`.
    asked: Vec<String>,
}

impl Account {
    /// It was busy for some seconds, and has our charge `age_s` seconds deep.
    fn busy(age_s: i64, to_fence: fn() -> Sent) -> Self {
        let mut account = Self { rows: Vec::new(), to_fence, fences_asked: 0, asked: Vec::new() };
        account.goes_on(SENT_MS / 1_000 - 100, SENT_MS / 1_000);
        account.rows.push((attempt(), SENT_MS / 1_000, false));
        account.goes_on(SENT_MS / 1_000, SENT_MS / 1_000 + age_s);
        account
    }

    fn goes_on(&mut self, from_s: i64, to_s: i64) {
        for at in from_s..to_s {
            for _ in 0..PER_SECOND {
                let id = AttemptId::from_random(1_000 + u128::try_from(self.rows.len()).unwrap());
                self.rows.push((id, at, false));
            }
        }
    }

    fn answer(&mut self, request: &HttpRequest) -> Sent {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if request.method == Method::Post && path == "/v1/payment_intents" {
            assert_eq!(header(request, "idempotency-key"), Some(ID));
            self.fences_asked += 1;
            return (self.to_fence)();
        }
        if request.method == Method::Post {
            return response(200, &fence("canceled"));
        }
        if let Some(named) = path.strip_prefix("/v1/payment_intents/pi_") {
            let number: usize = named.parse().unwrap();
            assert_eq!(self.rows[number].0, attempt(), "another one's is none of ours");
            return response(200, &intent("succeeded", CHARGED));
        }
        self.asked.push(request.path.clone());
        if path.ends_with("search") {
            return response(200, r#"{"object":"search_result","has_more":false,"data":[]}"#);
        }
        response(200, &self.page(query))
    }

    fn page(&self, query: &str) -> String {
        let parameter = |name: &str| {
            let pair = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            pair.map(|value| value.trim_start_matches("pi_").parse::<i64>().unwrap())
        };
        assert_eq!(parameter("limit"), i64::try_from(PAGE).ok());
        let end = parameter("starting_after").map_or(self.rows.len(), |after| usize::try_from(after).unwrap());
        let (from, to) = (parameter("created[gte]"), parameter("created[lte]"));
        let fits = |at: i64| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to);
        let newest_first = self.rows.iter().enumerate().take(end).rev();
        let mut fitting = newest_first.filter(|(_, (_, at, _))| fits(*at));
        let shown: Vec<String> = fitting
            .by_ref()
            .take(PAGE)
            .map(|(number, (id, at, is_fence))| {
                let key = if *is_fence { "tonewall_fence" } else { "tonewall_attempt" };
                format!(r#"{{"id":"pi_{number}","created":{at},"metadata":{{"{key}":"{id}"}}}}"#)
            })
            .collect();
        let has_more = fitting.next().is_some();
        format!(r#"{{"object":"list","has_more":{has_more},"data":[{}]}}"#, shown.join(","))
    }

    /// One inquiry, in no more requests than it may take.
    fn inquiry(&mut self, following: &mut Following, now_ms: i64) -> Option<Answer> {
        let adapter = stripe();
        let mut request = following.ask(now_ms, &adapter).unwrap();
        self.asked.push("-".to_owned());
        for _ in 0..INQUIRY_STEPS_MAX {
            let sent = self.answer(&request);
            match following.hear(&adapter, sent) {
                Heard::Ask(next) => request = next,
                Heard::Known(answer) => return Some(answer),
                Heard::Nothing => return None,
            }
        }
        None
    }

    /// What became of it, and how long that took, in milliseconds from the beginning of the window. Meanwhile the account goes on.
    fn follow(&mut self, following: &mut Following, age_s: i64) -> (Answer, i64) {
        let mut after_ms = age_s * 1_000;
        for _ in 0..60 {
            let pause_ms = i64::try_from(following.pause_ms()).unwrap();
            let before_s = after_ms / 1_000;
            after_ms += pause_ms;
            self.goes_on(SENT_MS / 1_000 + before_s, SENT_MS / 1_000 + after_ms / 1_000);
            if let Some(answer) = self.inquiry(following, SENT_MS + after_ms) {
                return (answer, after_ms);
            }
        }
        panic!("not known after {after_ms} ms: {:#?}", self.asked);
    }
}

fn is_taken() -> Sent {
    response(400, r#"{"error":{"type":"idempotency_error","message":"Other parameters."}}"#)
}

/// Each inquiry looked at the newest 700, and the search knew it after a minute: it was known after 63 s, where 60 are promised.
#[test]
fn a_charge_that_lies_beyond_the_newest_pages_is_found_page_by_page_without_the_search() {
    let mut account = Account::busy(20, is_taken);
    let mut following = following(Kind::Authorize, None);
    let (answer, after_ms) = account.follow(&mut following, 20);
    assert!(matches!(answer, Answer::Approved(_)), "{answer:?}");
    assert!(after_ms < 30_000, "{after_ms} ms");
    assert_eq!(account.fences_asked, 1, "whose the key is was said");
    let pages = account.asked.iter().filter(|asked| asked.contains("limit=100")).count();
    assert!(pages < 7 + 2 + 25 * PER_SECOND / PAGE, "each page is read once: {pages}");
    let searches = account.asked.iter().filter(|asked| asked.contains("search")).count();
    assert_eq!(searches, 2, "once a reading, and not as often as pages are read");
}

#[test]
fn what_is_read_after_the_key_was_refused_is_of_the_seconds_around_the_attempt() {
    let mut account = Account::busy(20, is_taken);
    let mut following = following(Kind::Authorize, None);
    assert_eq!(account.inquiry(&mut following, SENT_MS + 20_000), None);
    assert_eq!(following.pause_ms(), 500, "it is there, and is looked for soon");
    account.asked.clear();
    assert_eq!(account.inquiry(&mut following, SENT_MS + 21_000), None);
    // Sent between SENT_MS - 60 s and SENT_MS.
    let around = "/v1/payment_intents?limit=100&created[gte]=1699999920&created[lte]=1700000020";
    assert_eq!((account.asked[1].as_str(), account.asked[2].as_str()), ("/v1/payment_intents?limit=100", around));
    let last = account.asked.iter().rfind(|asked| asked.contains("starting_after")).cloned().unwrap();
    account.goes_on(SENT_MS / 1_000 + 21, SENT_MS / 1_000 + 22);
    account.asked.clear();
    account.inquiry(&mut following, SENT_MS + 22_000);
    let number = |path: &str| path.rsplit("pi_").next().unwrap().parse::<usize>().unwrap();
    assert_eq!(number(&account.asked[1]) + PAGE, number(&last), "it goes on where it has stopped: {:?}", account.asked);
}

/// A key that was used proves that Stripe has begun the charge, and not that it is to be seen.
#[test]
fn that_a_charge_whose_key_is_used_is_not_found_proves_nothing_before_the_window_is_over() {
    let mut account = Account::busy(1, is_taken);
    account.rows.retain(|(id, ..)| *id != attempt());
    let mut following = following(Kind::Authorize, None);
    let mut now_ms = SENT_MS;
    while now_ms < SENT_MS + 59_999 {
        assert_eq!(account.inquiry(&mut following, now_ms), None);
        now_ms += 1_000;
    }
    // It appears, and what was read before it did is read again.
    account.rows.push((attempt(), SENT_MS / 1_000, false));
    let found = (0..20).find_map(|_| account.inquiry(&mut following, SENT_MS + 59_999));
    assert!(matches!(found, Some(Answer::Approved(_))), "{found:?}");
}

#[test]
fn only_what_was_read_from_the_newest_on_after_the_window_proves_that_there_is_none() {
    let mut account = Account::busy(20, is_taken);
    account.rows.retain(|(id, ..)| *id != attempt());
    let mut following = following(Kind::Authorize, None);
    for now_ms in [SENT_MS + 20_000, SENT_MS + 21_000, SENT_MS + 22_000] {
        assert_eq!(account.inquiry(&mut following, now_ms), None);
    }
    // Half of it has been read. That it appears now, among what was read already, is not overlooked.
    account.rows.push((attempt(), SENT_MS / 1_000 + 20, false));
    let mut rounds = 0;
    let answer = loop {
        rounds += 1;
        assert!(rounds < 60, "never");
        if let Some(answer) = account.inquiry(&mut following, LATER_MS) {
            break answer;
        }
    };
    assert!(matches!(answer, Answer::Approved(_)), "{answer:?}");
}

/// Our clock was wrong when it was sent. All that Stripe made around that time lacked it, which was said to be the proof that it was
/// never made: it was charged again.
#[test]
fn a_charge_that_stripe_has_had_is_not_given_up_by_a_clock_that_is_wrong() {
    for wrong_s in [-5_000, -1_200, 1_200, 5_000] {
        let made = SENT_MS / 1_000 + wrong_s;
        let mut account = Account { rows: Vec::new(), to_fence: is_taken, fences_asked: 0, asked: Vec::new() };
        account.goes_on(made - 3, made);
        account.rows.push((attempt(), made, false));
        account.goes_on(made, made + 3);
        let mut following = following(Kind::Authorize, None);
        for after_ms in [1_000, 3_000, 59_999] {
            assert_eq!(account.inquiry(&mut following, SENT_MS + after_ms), None, "{wrong_s} s");
        }
        let found = (0..3).find_map(|_| account.inquiry(&mut following, SENT_MS + 60_000));
        assert!(matches!(found, Some(Answer::Approved(_))), "{wrong_s} s: {found:?}");
        assert_eq!(account.fences_asked, 1);
    }
}

/// Stripe may have failed after it took the key.
#[test]
fn of_a_charge_that_stripe_has_had_only_a_day_in_which_it_is_not_proves_that_there_is_none() {
    let mut account = Account::busy(2, is_taken);
    account.rows.retain(|(id, ..)| *id != attempt());
    let day = 24 * 60 * 60;
    account.rows.splice(0..0, [(AttemptId::from_random(1), SENT_MS / 1_000 - 60 - day - 1, false)]);
    let mut following = following(Kind::Authorize, None);
    let early = (0..20).find_map(|_| account.inquiry(&mut following, SENT_MS + 59_999));
    assert_eq!(early, None, "the window is not over");
    account.asked.clear();
    let answer = (0..40).find_map(|_| account.inquiry(&mut following, SENT_MS + 60_000));
    assert_eq!(answer, Some(Answer::Abandoned));
    let from = format!("created[gte]={}", SENT_MS / 1_000 - 60 - day);
    assert!(account.asked.last().unwrap().contains(&from), "{:?}", account.asked.last());
    assert!(!account.asked.last().unwrap().contains("created[lte]"), "it may be newer than our clock was");
}

#[test]
fn a_page_that_is_lost_or_too_much_is_asked_for_again_and_none_before_it() {
    for lost in [Sent::Broken, response(429, r#"{"error":{"type":"invalid_request_error"}}"#), response(500, "{}")] {
        let mut account = Account::busy(20, is_taken);
        let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
        account.inquiry(&mut following, SENT_MS + 20_000);
        account.inquiry(&mut following, SENT_MS + 21_000);
        let again = following.ask(SENT_MS + 22_000, &adapter).unwrap();
        assert!(again.path.contains("starting_after"), "{}", again.path);
        assert!(matches!(following.hear(&adapter, lost), Heard::Nothing));
        assert_eq!(following.ask(SENT_MS + 23_000, &adapter).unwrap().path, again.path);
    }
    // A name that the account does not have is no place to go on from.
    let mut account = Account::busy(20, is_taken);
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    account.inquiry(&mut following, SENT_MS + 20_000);
    account.inquiry(&mut following, SENT_MS + 21_000);
    following.ask(SENT_MS + 22_000, &adapter);
    let missing = response(404, r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#);
    assert!(matches!(following.hear(&adapter, missing), Heard::Nothing));
    assert_eq!(following.ask(SENT_MS + 23_000, &adapter).unwrap().path, "/v1/payment_intents?limit=100");
}

/// Stripe repeats a 500 for a day, and when it was asked again what took the key was further down than one inquiry reads.
#[test]
fn what_took_the_key_is_found_below_the_newest_pages_where_no_answer_says_that_it_did() {
    let mut account = Account::busy(20, || response(500, "{}"));
    account.rows.retain(|(id, ..)| *id != attempt());
    let mut following = following(Kind::Authorize, None);
    assert_eq!(account.inquiry(&mut following, SENT_MS + 20_000), None);
    account.rows.push((attempt(), SENT_MS / 1_000 + 20, true));
    // The next inquiry comes so late.
    account.goes_on(SENT_MS / 1_000 + 20, SENT_MS / 1_000 + 35);
    let (answer, after_ms) = account.follow(&mut following, 35);
    assert_eq!(answer, Answer::Abandoned);
    assert!(after_ms < 45_000, "{after_ms} ms");
}

#[test]
fn a_search_that_is_too_much_keeps_nobody_from_taking_the_key() {
    let mut account = Account::busy(20, || response(200, &fence("requires_payment_method")));
    account.rows.retain(|(id, ..)| *id != attempt());
    let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
    let mut request = following.ask(SENT_MS + 20_000, &adapter).unwrap();
    while !request.path.contains("search") {
        request = ask(following.hear(&adapter, account.answer(&request)));
    }
    let too_much = response(429, r#"{"error":{"type":"invalid_request_error","code":"rate_limit"}}"#);
    let taken = ask(following.hear(&adapter, too_much));
    assert_eq!((taken.method, header(&taken, "idempotency-key")), (Method::Post, Some(ID)));
    // Once it was asked for, an answer that says nothing is not asked for again at once.
    assert!(matches!(following.hear(&adapter, response(500, "{}")), Heard::Nothing));
}

/// Its key was asked for, although it was found and only the answer about it was lost.
#[test]
fn nobody_takes_the_key_of_a_charge_that_the_search_has_found() {
    for lost in [Sent::Broken, response(429, "{}"), response(500, "{}")] {
        let mut account = Account::busy(20, is_taken);
        let (adapter, mut following) = (stripe(), following(Kind::Authorize, None));
        let mut request = following.ask(SENT_MS + 20_000, &adapter).unwrap();
        while !request.path.contains("search") {
            request = ask(following.hear(&adapter, account.answer(&request)));
        }
        let found = listed(&[attempt()], false, SENT_MS / 1_000).replace("list", "search_result");
        let itself = ask(following.hear(&adapter, response(200, &found)));
        assert_eq!(itself.path, "/v1/payment_intents/pi_0?expand[0]=latest_charge");
        assert!(matches!(following.hear(&adapter, lost), Heard::Nothing));
    }
}

/// Where the card is only kept there is no key to take and no search: the pages are all that is.
#[test]
fn a_card_that_was_to_be_kept_is_known_not_to_be_however_many_others_were() {
    let (adapter, mut following) = (stripe(), following(Kind::Store, None));
    let (mut next, mut rounds) = (0, 0);
    let answer = 'rounds: loop {
        rounds += 1;
        let mut request = following.ask(LATER_MS, &adapter).unwrap();
        assert!(rounds == 1 || request.path.ends_with(&format!("&starting_after=seti_{next}")), "{}", request.path);
        loop {
            assert!(request.path.starts_with("/v1/setup_intents?") && next < 3_000, "it never ends");
            next += PAGE;
            let page = listed(&[AttemptId::from_random(1)], next < 2_000, SENT_MS / 1_000)
                .replace("pi_0", &format!("seti_{next}"));
            match following.hear(&adapter, response(200, &page)) {
                Heard::Ask(further) => request = further,
                Heard::Nothing => break,
                Heard::Known(answer) => break 'rounds answer,
            }
        }
    };
    assert_eq!((answer, next), (Answer::Abandoned, 2_000));
}
