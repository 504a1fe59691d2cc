//! The customer's own calendar of payments: a page for whoever has the link, without a session, a script or a way to change
//! anything. Of the card it has the brand and the last four digits.

use super::{
    agreements::{CalendarRow, past_and_coming},
    principal::Address,
    problem::Problem,
};
use crate::{app::App, clock::now_ms, recurring::list::AgreementRow};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::civil::Date;
use recurring::State as Standing;
use std::{
    collections::BTreeMap,
    fmt::Write,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

/// Payments of the past that are shown, and of those to come.
const PAST_SHOWN: usize = 24;
const COMING_SHOWN: u32 = 24;
/// Looks at one agreement in a minute; and of one address (of a proxy, perhaps), those at links that are not valid.
const OF_AGREEMENT_MAX: u32 = 60;
const OF_ADDRESS_MAX: u32 = 600;
/// Names that are counted in a minute; more are refused.
const COUNTED_MAX: usize = 20_000;
const MINUTE_MS: i64 = 60 * 1000;
/// Nothing is loaded but the page's looks, and nobody frames it.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HEAD: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
    <link rel=\"stylesheet\" href=\"/calendar.css\">";

/// What was looked at in this minute. Who tries links cannot use up what those have who have a valid one.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    addresses: Counts,
    agreements: Counts,
}

/// Counts looks by the minute.
#[derive(Debug, Default)]
struct Counts {
    minute: i64,
    counts: BTreeMap<String, u32>,
}

impl Counts {
    /// May this name look once more now?
    fn may(&mut self, now_ms: i64, name: String, most: u32) -> bool {
        let minute = now_ms / MINUTE_MS;
        if self.minute != minute {
            (self.minute, self.counts) = (minute, BTreeMap::new());
        }
        if self.counts.len() >= COUNTED_MAX && !self.counts.contains_key(&name) {
            return false;
        }
        let count = self.counts.entry(name).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }
}

/// The page and its looks.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/calendar/{link}", get(page)).route("/calendar.css", get(style))
}

/// The looks of the page.
async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("calendar.css"))
}

/// The page of a link. One that is not valid looks the same whether it was made up, is over or was taken back.
async fn page(State(app): State<Arc<App>>, address: Address, Path(link): Path<String>) -> Response {
    let now = now_ms();
    match shown(&app, now, &address, &link).await {
        Ok(response) => response,
        Err(problem) => {
            tracing::error!(code = &*problem.code, "a customer's calendar could not be shown");
            answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Try again later",
                "<p>Something failed here. Please try again later.</p>",
            )
        }
    }
}

async fn shown(app: &App, now: i64, address: &Address, link: &str) -> Result<Response, Problem> {
    let none = || {
        if !app.looks(|looks| looks.addresses.may(now, network(&address.0), OF_ADDRESS_MAX)) {
            return too_many();
        }
        let text = "<p>It may be too old. Please ask the company that you pay for a new one.</p>";
        answer(StatusCode::NOT_FOUND, "This link is not valid any more", text)
    };
    let Some(id) = app.store.linked(now, link).await? else { return Ok(none()) };
    if !app.looks(|looks| looks.agreements.may(now, id.0.to_string(), OF_AGREEMENT_MAX)) {
        return Ok(too_many());
    }
    let Some(row) = app.store.agreement(id).await? else { return Ok(none()) };
    let body = body(app, &row).await?;
    Ok(answer(StatusCode::OK, "Your payments", &body))
}

async fn body(app: &App, row: &AgreementRow) -> Result<String, Problem> {
    let mut rows = String::new();
    if let Some(first) = first(app, row).await? {
        rows.push_str(&first);
    }
    let (past, coming) = past_and_coming(app, row, COMING_SHOWN).await?;
    let skipped = past.len().saturating_sub(PAST_SHOWN);
    for payment in past.iter().skip(skipped).chain(&coming) {
        let (class, words) = words(payment.state, payment.trouble.as_deref());
        let (class, words) = afterwards(payment).unwrap_or_else(|| (class, words.to_owned()));
        line(&mut rows, &long_day(payment.due), &payment.amount.to_string(), class, &words);
    }
    let standing = match row.agreement.state() {
        Standing::Active => "We take the payments to come from this card.",
        Standing::Paused => "Payments are paused: nothing is taken until you ask us to go on.",
        Standing::Canceled => "These payments have ended: nothing more is taken.",
        Standing::Complete => "No more payments are to come.",
    };
    let (brand, last4, zone) = (row.brand.name(), escaped(&row.last4), escaped(&row.zone));
    let payee = match app.config.recurring.payee.trim() {
        "" => String::new(),
        payee => format!("<p class=\"payee\">{}</p>", escaped(payee)),
    };
    let mut text = format!(
        "{payee}<p>{brand} card ending in <b>{last4}</b></p><p>{standing}</p><table><caption>Payments, oldest first. \
         Days are those of {zone}.</caption><thead><tr><th scope=\"col\">Day</th><th scope=\"col\" class=\"num\">Amount</th>\
         <th scope=\"col\">State</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    if coming.len() >= usize::try_from(COMING_SHOWN).unwrap_or(usize::MAX) {
        text.push_str("<p>And so on.</p>");
    }
    text.push_str("<p>To change or stop these payments, contact us. This page shows them and changes nothing.</p>");
    Ok(text)
}

/// The payment on the call that it began with, if money was taken.
async fn first(app: &App, row: &AgreementRow) -> Result<Option<String>, Problem> {
    let Some(payment) = row.payment else { return Ok(None) };
    let Some(paid) = app.store.first_taken(payment).await? else { return Ok(None) };
    let mut text = String::new();
    let day = super::agreements::day_of(paid.at_ms, &row.zone)?;
    let (class, words) = match paid.given_back {
        back if back.minor <= 0 => ("ok", "Paid on the telephone".to_owned()),
        back if back.minor >= paid.amount.minor => ("", "Paid on the telephone, and given back".to_owned()),
        back => ("ok", format!("Paid on the telephone, and {back} given back")),
    };
    line(&mut text, &long_day(day), &paid.amount.to_string(), class, &words);
    Ok(Some(text))
}

/// Whoever has one address of IPv6 has its whole /64.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        Ok(address) => address.to_string(),
        Err(_) => address.to_owned(),
    }
}

/// `26 Jan 2027`.
fn long_day(day: Date) -> String {
    day.strftime("%-d %b %Y").to_string()
}

fn line(rows: &mut String, day: &str, amount: &str, class: &str, words: &str) {
    // Writing to a `String` cannot fail.
    let _ = write!(
        rows,
        "<tr><td>{}</td><td class=\"num\">{}</td><td class=\"{class}\">{words}</td></tr>",
        escaped(day),
        escaped(amount)
    );
}

/// How a payment stands, for its customer.
fn words(state: &str, trouble: Option<&str>) -> (&'static str, &'static str) {
    match (state, trouble) {
        ("paid", _) => ("ok", "Paid"),
        ("planned", _) => ("", "To come"),
        ("waiting", Some("declined")) => ("warn", "Not paid; tried again"),
        ("waiting" | "sent", _) => ("warn", "Being taken"),
        ("failed", Some("late" | "not_done")) => ("", "Not taken"),
        ("failed", _) => ("bad", "Not paid"),
        _ => ("", "Left out"),
    }
}

/// Of one that is paid and whose money did not stay, or may not.
fn afterwards(payment: &CalendarRow) -> Option<(&'static str, String)> {
    let disputed = if payment.disputed { ", and disputed at your bank" } else { "" };
    match payment.given_back {
        Some(back) if back.minor >= payment.amount.minor => Some(("", format!("Refunded{disputed}"))),
        Some(back) => Some(("ok", format!("Partly refunded ({back}){disputed}"))),
        None => payment.disputed.then(|| ("warn", format!("Paid{disputed}"))),
    }
}

fn too_many() -> Response {
    let text = "<p>This page was opened very often. Please try again in a minute.</p>";
    let mut response = answer(StatusCode::TOO_MANY_REQUESTS, "Please wait a minute", text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    response
}

/// `no-store` and `no-referrer` are said of every answer of this office.
fn answer(status: StatusCode, title: &str, body: &str) -> Response {
    let page = format!("{HEAD}<title>{title}</title></head><body><main><h1>{title}</h1>{body}</main></body></html>");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
    (status, headers, page).into_response()
}

fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut done, c| {
        match c {
            '&' => done.push_str("&amp;"),
            '<' => done.push_str("&lt;"),
            '>' => done.push_str("&gt;"),
            '"' => done.push_str("&quot;"),
            '\'' => done.push_str("&#39;"),
            c => done.push(c),
        }
        done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_so_often_in_a_minute() {
        let mut looks = Counts::default();
        assert!((0..3).all(|_| looks.may(5, "a".to_owned(), 3)));
        assert!(!looks.may(MINUTE_MS - 1, "a".to_owned(), 3));
        assert!(looks.may(5, "b".to_owned(), 3) && looks.may(MINUTE_MS, "a".to_owned(), 3));
        for name in 0..=COUNTED_MAX {
            looks.may(MINUTE_MS, name.to_string(), 3);
        }
        assert!(looks.counts.len() <= COUNTED_MAX && !looks.may(MINUTE_MS, "new".to_owned(), 3));
    }

    #[test]
    fn addresses_of_one_network_are_counted_together() {
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:ffff::1"), network("2001:db8:1:2::1"));
        assert_ne!(network("2001:db8:1:3::1"), network("2001:db8:1:2::1"));
        assert_eq!((network("::ffff:192.0.2.1"), network("unknown")), ("192.0.2.1".to_owned(), "unknown".to_owned()));
    }

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escaped("<b class=\"x\">&'"), "&lt;b class=&quot;x&quot;&gt;&amp;&#39;");
    }
}
