//! The processing of one event, from its owner over one transaction to Redis.
//!
//! [`EventStore::process`] is a state machine, in which each [`Step`] has one function and returns the next step. The usual path
//! is `FindOwner`, `Apply`, `Publish`. No transaction is open between two steps.

use common::postgres::Query;
use common::{Problem, request};
use protocol::problem::Code;
use stripe::event::{Event, EventKind, ParsedEvent, ParsedInvoice};
use stripe::facts::{KnownState, Snapshot};

use super::stripe_lookup::{Lookup, StripeLookup};
use super::{EventStore, Outcome};
use crate::customer_update::CustomerUpdate;
use crate::customer_update::commit::{CommitOutcome, CommittedUpdate};
use crate::owner::Owner;
use crate::queries;

/// Maximum number of attempts to apply an event, each of which begins with the look-up of its owner.
const ATTEMPTS: usize = 6;
/// Maximum number of times that an event's subscription is fetched from Stripe, while other events overtake the answers.
const FETCHES: usize = 3;

/// An event that is processed, with what became known of it on the way.
pub(super) struct PendingEvent<'a> {
    event: &'a Event,
    body: &'a [u8],
    parsed: ParsedEvent,
    storage: Storage,
    /// The invoice of the payment that the event reverses; `None` before it was looked up.
    invoice: Option<Lookup<ParsedInvoice>>,
    fetched: Vec<FetchedSubscription>,
    attempts: usize,
    /// Ids that the event has made known, for which others may wait.
    pub(super) new_ids: Vec<String>,
}

/// Storage of an event that is not applied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    /// It is not stored.
    New,
    /// It was stored before, waiting or failed.
    Stored,
    /// It was stored as waiting by this request.
    StoredNow,
}

/// A subscription that was fetched from Stripe.
struct FetchedSubscription {
    id: String,
    /// The state that was known before: the answer is not newer than a state that became known meanwhile.
    known: KnownState,
    answer: Lookup<Snapshot>,
}

/// A step in the processing of an event.
enum Step {
    /// Look up the owner. Next is `Apply`; without an owner `Wait`; before either `FetchInvoice`, if a refund or dispute names no
    /// payment of a known subscription.
    FindOwner,
    /// Apply the event in one transaction. Next is `Publish`, `Fail` or, when another request was faster, `ReadOutcome`. Where the
    /// events can't decide, it is rolled back for a step that leads to another attempt.
    Apply(Owner),
    /// Update Redis after the commit.
    Publish(CommittedUpdate),
    /// Fetch a subscription, of which this state is known, from Stripe. Next is `FindOwner`.
    FetchSubscription(String, KnownState),
    /// Fetch the invoice of the reversed payment from Stripe. Next is `FindOwner`, or `Ignore` if it is for no subscription.
    FetchInvoice {
        without_answer: Box<Step>,
    },
    /// Store the event until its owner is known. Next is `FindOwner`, once.
    Wait,
    /// Read the outcome that the event had in another request.
    ReadOutcome,
    /// Store the event as ignored.
    Ignore(&'static str),
    /// Store the event as failed.
    Fail(String),
    Done(Outcome),
}

impl Step {
    /// A mistake of ours or of the data is left to an operator: another attempt at once doesn't help.
    fn fail_if_internal(problem: Problem) -> Result<Self, Problem> {
        match problem.code() {
            Code::Internal => Ok(Self::Fail(problem.internal().unwrap_or_default().to_owned())),
            _ => Err(problem),
        }
    }
}

impl EventStore {
    /// Applies an event, or stores it where that is not possible.
    pub(super) async fn process(
        &self,
        pending: &mut PendingEvent<'_>,
        lookup: &mut StripeLookup<'_>,
    ) -> Result<Outcome, Problem> {
        let (event, body) = (pending.event, pending.body);
        let mut step = Step::FindOwner;
        loop {
            step = match step {
                Step::FindOwner => self.find_owner(pending).await?,
                Step::Apply(owner) => self.apply(pending, &owner, lookup).await.or_else(Step::fail_if_internal)?,
                Step::Publish(update) => self.publish(pending, &update).await,
                Step::FetchSubscription(id, known) => pending.fetch_subscription(id, known, lookup).await,
                Step::FetchInvoice { without_answer } => pending.fetch_invoice(*without_answer, lookup).await,
                Step::Wait => self.wait(pending).await?,
                Step::ReadOutcome => Step::Done(self.stored_outcome(event).await?),
                Step::Ignore(reason) => Step::Done(self.store_ignored(event, body, reason).await?),
                Step::Fail(error) => Step::Done(self.store_failed(event, body, &error).await?),
                Step::Done(outcome) => return Ok(outcome),
            };
        }
    }

    /// Looks up the owner. The invoice of a reversed payment is fetched first where its subscription is not known.
    async fn find_owner(&self, pending: &mut PendingEvent<'_>) -> Result<Step, Problem> {
        if pending.attempts == ATTEMPTS {
            return Err(Problem::unavailable("stripe events", "the event was overtaken again and again"));
        }
        pending.attempts += 1;
        let owner = Owner::of_event(&self.db, &pending.parsed, pending.event.livemode).await?;
        owner.iter().for_each(|owner| request::set_tenant(owner.tenant));
        let is_guess = owner.as_ref().is_none_or(|owner| owner.subscription.is_none());
        let next = owner.map_or(Step::Wait, Step::Apply);
        let needs_invoice = is_guess && pending.is_reversal() && pending.invoice.is_none();
        Ok(if needs_invoice { Step::FetchInvoice { without_answer: Box::new(next) } } else { next })
    }

    /// Applies the event, with all that follows from it, in one transaction. It is rolled back where another step comes first.
    async fn apply(
        &self,
        pending: &PendingEvent<'_>,
        owner: &Owner,
        lookup: &StripeLookup<'_>,
    ) -> Result<Step, Problem> {
        let event = pending.event;
        let stored: Query<'_> = (queries::EVENT_APPLY_KEPT, &[&event.id]);
        let new: Query<'_> =
            (queries::EVENT_APPLY, &[&event.id, &event.livemode, &event.kind, &event.created, &pending.body]);
        let event_row = if pending.storage == Storage::New { new } else { stored };
        let mut tx = self.db.tenant("stripe_apply", owner.tenant).await?;
        let Some(mut update) = CustomerUpdate::load(&mut tx, event_row, event, owner).await? else {
            return Ok(Step::ReadOutcome);
        };
        if owner.is_new_customer && owner.is_customer_known(&mut tx, event.livemode).await? {
            return Ok(Step::FindOwner);
        }
        if let Some(step) = pending.merge_into(&mut update, lookup) {
            return Ok(step);
        }
        Ok(match update.commit(&self.hasher, tx).await? {
            CommitOutcome::Committed(update) => Step::Publish(update),
            CommitOutcome::Rejected(error) => Step::Fail(error),
        })
    }

    /// Updates Redis after the commit.
    async fn publish(&self, pending: &mut PendingEvent<'_>, update: &CommittedUpdate) -> Step {
        update.publish(&self.db, &self.seats).await;
        if update.has_new_ids {
            pending.new_ids = pending.ids();
        }
        Step::Done(Outcome::Applied)
    }

    /// Stores the event until its owner is known, and has the owner looked up once more, which may have become known meanwhile.
    async fn wait(&self, pending: &mut PendingEvent<'_>) -> Result<Step, Problem> {
        if pending.storage == Storage::StoredNow {
            return Ok(Step::Done(Outcome::Waiting));
        }
        self.store(pending.event, pending.body, "waiting", &pending.parsed.ids(), None).await?;
        pending.storage = Storage::StoredNow;
        Ok(Step::FindOwner)
    }
}

impl<'a> PendingEvent<'a> {
    pub(super) fn new(event: &'a Event, body: &'a [u8], parsed: ParsedEvent, storage: Storage) -> Self {
        Self { event, body, parsed, storage, invoice: None, fetched: Vec::new(), attempts: 0, new_ids: Vec::new() }
    }

    /// Returns every id that the event, or the invoice of its payment, names.
    fn ids(&self) -> Vec<String> {
        let invoice = self.fetched_invoice().into_iter();
        let fetched = invoice.flat_map(|invoice| invoice.payments.iter().chain([&invoice.id]));
        self.parsed.ids().into_iter().chain(fetched.cloned()).collect()
    }

    /// Returns true if the event is about a refund or dispute, which may not name its subscription.
    fn is_reversal(&self) -> bool {
        use EventKind::{Dispute, Refund, RefundFailed};
        matches!(self.parsed.kind, Refund { .. } | RefundFailed { .. } | Dispute { .. })
    }

    fn fetched_invoice(&self) -> Option<&ParsedInvoice> {
        match &self.invoice {
            Some(Lookup::Found(invoice)) => Some(invoice),
            _ => None,
        }
    }

    /// Merges the event into the stored state of its customer. Returns the step that has to come before a commit, if there is
    /// one.
    fn merge_into(&self, update: &mut CustomerUpdate<'_>, lookup: &StripeLookup<'_>) -> Option<Step> {
        if let EventKind::Customer { contact, deleted } = &self.parsed.kind {
            update.merge_contact(contact, *deleted);
            return None;
        }
        let Some(subscription) = update.subscription() else { return Some(Step::Wait) };
        let known = update.state_of(&subscription);
        let is_certain = update.merge_event(&subscription, &self.parsed, self.fetched_invoice());
        let is_certain = is_certain && !update.is_incomplete(&subscription);
        if self.invoice.is_none() && lookup.is_available() && update.lacks_invoice(&subscription) {
            return Some(Step::FetchInvoice { without_answer: Box::new(Step::FindOwner) });
        }
        match self.fetched.last().filter(|fetched| fetched.id == subscription) {
            Some(FetchedSubscription { answer: Lookup::Found(snapshot), known: before, .. }) if known == *before => {
                update.merge_fetched(&subscription, snapshot.clone());
            }
            // Stripe has no such subscription: another request would give the same answer.
            Some(FetchedSubscription { answer: Lookup::Missing, .. }) => {}
            _ if is_certain => {}
            _ if lookup.is_available() && self.fetched.len() < FETCHES => {
                return Some(Step::FetchSubscription(subscription, known));
            }
            // Without an answer, the rule of order decides until the subscription is compared with Stripe.
            _ => update.mark_for_recheck(&subscription),
        }
        None
    }

    /// Fetches the event's subscription from Stripe.
    async fn fetch_subscription(&mut self, id: String, known: KnownState, lookup: &mut StripeLookup<'_>) -> Step {
        let answer = lookup.subscription(&id).await;
        self.fetched.push(FetchedSubscription { id, known, answer });
        Step::FindOwner
    }

    /// Fetches the invoice of the reversed payment from Stripe, and with it the subscription.
    async fn fetch_invoice(&mut self, without_answer: Step, lookup: &mut StripeLookup<'_>) -> Step {
        let answer = lookup.invoice_of_payment(&self.parsed).await;
        let next = match &answer {
            Lookup::Found(ParsedInvoice { subscription: Some(subscription), .. }) => {
                self.parsed.subscription = Some(subscription.clone());
                Step::FindOwner
            }
            Lookup::Found(_) | Lookup::Missing => Step::Ignore("The payment was for no subscription."),
            // The known state decides.
            Lookup::Unavailable => without_answer,
        };
        self.invoice = Some(answer);
        next
    }
}
