//! Operations that take several requests: what is still to be sent, and what the answers so far have named.

use crate::answer::Answer;
use crate::http::HttpRequest;
use std::collections::VecDeque;

/// The most requests that one operation takes; whoever sends them stops there with an unknown.
pub const STEPS_MAX: usize = 12;

/// The most requests of one inquiry: the newest, the pages around the attempt, a search, what makes sure that nothing comes any
/// more, and the pages again.
pub const INQUIRY_STEPS_MAX: usize = 20;

/// A locator that begins so names no charge but how far an inquiry has read: the next one goes on there.
pub(crate) const READ_UP_TO: &str = "after:";

/// How far the inquiries of an attempt have read a list, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// [`READ_UP_TO`] and a name.
    pub(crate) up_to: String,
    /// Was it begun when nothing could appear any more, so that its end proves that there is none?
    pub(crate) proves: bool,
}

/// What is to be done after an answer.
pub enum Step {
    /// It was the last one, and means this.
    Done(Answer),
    /// Send this, and bring its answer.
    Next(HttpRequest),
}

/// The rest of an operation that takes several requests. It holds neither the card, which is in the first request, nor
/// the gateway's key; an adapter that needs one request an operation leaves it empty.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    steps: VecDeque<Planned>,
    names: Vec<String>,
    fence: Fence,
    searches: bool,
    takes_key: bool,
}

/// Of an inquiry: may it make sure that the attempt cannot be executed any more, where it may be still on its way?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fence {
    /// It is not for this inquiry to do.
    #[default]
    MayNot,
    /// Where nothing was found.
    May,
    /// It was tried, and no answer has said whether it is done: that may be seen where the attempt itself would be.
    Tried,
    /// It came too late: the gateway may have forgotten the attempt's key by then, which proves nothing.
    TooLate,
    /// It was refused: the gateway has had the attempt, which is somewhere or has failed there.
    Used,
    /// It is done.
    Stands,
}

impl Fence {
    /// Is it to be tried where nothing was found?
    pub(crate) fn is_open(self) -> bool {
        matches!(self, Self::May | Self::Tried)
    }
}

/// A request with room for names that are not known yet: `{pm_}` stands for the name that begins so.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) path: String,
    pub(crate) form: String,
    pub(crate) idempotency_key: String,
}

impl Plan {
    /// These requests after the first.
    pub(crate) fn of(steps: impl IntoIterator<Item = Planned>) -> Self {
        Self { steps: steps.into_iter().collect(), ..Self::default() }
    }

    /// Nothing is to follow, and this name is known already.
    pub(crate) fn knowing(name: &str) -> Self {
        Self { names: vec![name.to_owned()], ..Self::default() }
    }

    /// Of an inquiry that goes on where the one before it has stopped.
    pub(crate) fn resuming(reading: Option<&Reading>, fence: Fence) -> Self {
        let up_to = reading.map(|reading| reading.up_to.clone());
        Self { names: up_to.into_iter().collect(), fence, ..Self::default() }
    }

    pub(crate) fn fence(&self) -> Fence {
        self.fence
    }

    /// What came of the fence. What was read before that may lack what has appeared since, and is read again.
    pub(crate) fn fenced(&mut self, fence: Fence) {
        *self = Self { fence, ..Self::default() };
    }

    /// What was read is read again.
    pub(crate) fn begin_anew(&mut self) {
        self.names.clear();
    }

    /// A search is sent next.
    pub(crate) fn search(&mut self) {
        self.searches = true;
    }

    /// Was a search the request whose answer has come? Asked once an answer.
    pub(crate) fn take_searched(&mut self) -> bool {
        std::mem::take(&mut self.searches)
    }

    /// The attempt's key is taken next.
    pub(crate) fn take_key(&mut self) {
        self.takes_key = true;
    }

    /// Was that the request whose answer has come? Asked once an answer.
    pub(crate) fn take_took_key(&mut self) -> bool {
        std::mem::take(&mut self.takes_key)
    }

    /// Did it begin where another one has stopped?
    pub(crate) fn is_resumed(&self) -> bool {
        self.names.first().is_some_and(|name| name.starts_with(READ_UP_TO))
    }

    /// How many requests follow, by what is known now.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Does nothing follow, by what is known now?
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Keeps a name that an answer gave.
    pub(crate) fn learn(&mut self, name: String) {
        if self.names.len() < STEPS_MAX {
            self.names.push(name);
        }
    }

    /// How many names answers gave.
    pub(crate) fn learned(&self) -> usize {
        self.names.len()
    }

    /// The name that an answer gave last.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.names.last().map(String::as_str)
    }

    /// The name that begins so, if an answer gave one.
    pub(crate) fn name(&self, prefix: &str) -> Option<&str> {
        self.names.iter().map(String::as_str).find(|name| name.starts_with(prefix))
    }

    /// Takes the next request, with its names filled in.
    pub(crate) fn next(&mut self) -> Option<Planned> {
        let Planned { path, form, idempotency_key } = self.steps.pop_front()?;
        let fill = |text: String| {
            self.names.iter().fold(text, |text, name| {
                let prefix = name.split_inclusive('_').next().unwrap_or_default();
                text.replace(&format!("{{{prefix}}}"), name)
            })
        };
        Some(Planned { path: fill(path), form: fill(form), idempotency_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_named_is_filled_into_what_follows() {
        let planned = |path: &str, form: &str| Planned {
            path: path.to_owned(),
            form: form.to_owned(),
            idempotency_key: String::new(),
        };
        let mut plan = Plan::of([planned("/a", "method={pm_}"), planned("/b/{pi_}", "method={pm_}")]);
        plan.learn("pm_1".to_owned());
        assert_eq!(plan.next().map(|next| next.form).as_deref(), Some("method=pm_1"));
        plan.learn("pi_2".to_owned());
        assert_eq!(
            plan.next().map(|next| (next.path, next.form)),
            Some(("/b/pi_2".to_owned(), "method=pm_1".to_owned()))
        );
        assert!(plan.is_empty() && plan.next().is_none());
        assert_eq!((plan.name("pi_"), plan.name("cus_")), (Some("pi_2"), None));
    }
}
