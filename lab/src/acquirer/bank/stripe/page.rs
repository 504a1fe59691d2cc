//! What is asked of a list (docs.stripe.com/api/pagination): how many, after which, and made when. What a list does not know is
//! refused, as Stripe does: a filter that were passed over would prove something that is not so.

use super::form::Form;
use super::refusal::Refusal;

/// Objects a page where nothing is asked for, and at most.
const PAGE: usize = 10;
const PAGE_MAX: usize = 100;
/// What every list takes.
const KNOWN: &[&str] =
    &["limit", "starting_after", "created", "created[gt]", "created[gte]", "created[lt]", "created[lte]"];

/// One page.
pub(super) struct Page<'a> {
    pub(super) limit: usize,
    pub(super) after: Option<&'a str>,
    /// Unix seconds, both of them in it.
    from: i64,
    to: i64,
}

impl<'a> Page<'a> {
    /// `others` are the parameters that this list alone takes.
    pub(super) fn of(form: &'a Form, others: &[&str]) -> Result<Self, Refusal> {
        let is_known = |name: &str| KNOWN.contains(&name) || others.contains(&name) || name.starts_with("expand[");
        if let Some(name) = form.names().find(|name| !is_known(name)) {
            return Err(Refusal::request("parameter_unknown", &format!("Received unknown parameter: {name}")));
        }
        let limit = number(form, "limit")?.map_or(Ok(PAGE), usize::try_from);
        let limit = limit.ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
        let limit = limit.ok_or_else(|| Refusal::request("parameter_invalid_integer", "A limit is from 1 to 100."))?;
        let at = number(form, "created")?;
        let bound = |inclusive: &str, exclusive: &str, step: i64| {
            let (inclusive, exclusive) = (number(form, inclusive)?, number(form, exclusive)?);
            Ok([at, inclusive, exclusive.map(|bound| bound.saturating_add(step))])
        };
        let from = bound("created[gte]", "created[gt]", 1)?.into_iter().flatten().max().unwrap_or(i64::MIN);
        let to = bound("created[lte]", "created[lt]", -1)?.into_iter().flatten().min().unwrap_or(i64::MAX);
        Ok(Self { limit, after: form.text("starting_after"), from, to })
    }

    /// Was it made when it is asked for? Unix seconds.
    pub(super) fn holds(&self, created: i64) -> bool {
        (self.from..=self.to).contains(&created)
    }

    /// As many as were asked for, and whether there are more.
    pub(super) fn cut<T>(&self, all: impl Iterator<Item = T>) -> (Vec<T>, bool) {
        let mut data: Vec<T> = all.take(self.limit.saturating_add(1)).collect();
        let has_more = data.len() > self.limit;
        data.truncate(self.limit);
        (data, has_more)
    }
}

fn number(form: &Form, name: &str) -> Result<Option<i64>, Refusal> {
    let invalid = || Refusal::request("parameter_invalid_integer", &format!("Invalid integer: {name}"));
    form.text(name).map(|text| text.parse().map_err(|_| invalid())).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Option<(usize, i64, i64)> {
        let form = Form::parse(query.as_bytes()).unwrap();
        Page::of(&form, &["customer"]).ok().map(|page| (page.limit, page.from, page.to))
    }

    #[test]
    fn times_are_bounds_with_or_without_themselves() {
        assert_eq!(page(""), Some((10, i64::MIN, i64::MAX)));
        assert_eq!(page("limit=100&created[gte]=5&created[lt]=9&expand[0]=x&customer=c"), Some((100, 5, 8)));
        assert_eq!(page("created[gt]=5&created[gte]=4&created[lte]=9"), Some((10, 6, 9)));
        assert_eq!(page("created=7"), Some((10, 7, 7)));
    }

    #[test]
    fn what_no_list_knows_is_refused_and_not_passed_over() {
        for query in
            ["limit=0", "limit=101", "limit=x", "created[gte]=x", "created[from]=5", "ending_before=pi_1", "to=5"]
        {
            assert_eq!(page(query), None, "{query}");
        }
    }

    #[test]
    fn a_page_is_cut_and_says_whether_there_is_more() {
        let form = Form::parse(b"limit=2").unwrap();
        let page = Page::of(&form, &[]).ok().unwrap();
        assert_eq!(page.cut(0..3), (vec![0, 1], true));
        assert_eq!(page.cut(0..2), (vec![0, 1], false));
    }
}
