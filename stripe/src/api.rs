//! The calls of Stripe's API (<https://docs.stripe.com/api>).
//!
//! Every call is bounded in time and in what it reads, and safe to repeat: a `POST` has an idempotency key, under which
//! Stripe does a thing once and gives the same answer again.

mod transport;

use std::fmt;

use common::{Setup, config};
use jiff::Timestamp;
use protocol::id::TenantId;
use serde::Deserialize;
use serde_json::Value;

use transport::{Transport, unreadable_answer, with_timeout};

/// More than any subscription needs: Stripe allows 20 items, and a page has 100.
const MAX_ITEM_PAGES: usize = 10;
/// Maximum number of pages of a list that are read.
const MAX_LIST_PAGES: usize = 10_000;

/// Stripe's API under one key.
#[derive(Clone)]
pub struct Api {
    transport: Transport,
    livemode: Option<bool>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("livemode", &self.livemode).finish_non_exhaustive()
    }
}

/// Error of a call to Stripe's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiError {
    /// No answer in time, or one that asks for a retry. The outcome of the request is unknown.
    Unreachable(String),
    /// Stripe understood the request, and refused it.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's `code`; where there is none, its `type`.
        code: Option<String>,
        /// The parameter that the error is about, such as `line_items[0][price]`.
        param: Option<String>,
        /// Stripe's message about the error.
        message: String,
    },
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "Stripe gave no usable answer: {why}. Try again later."),
            Self::Refused { status, code, message, .. } => {
                write!(
                    f,
                    "Stripe refused the request with {status} ({}): {message}",
                    code.as_deref().unwrap_or("no code")
                )
            }
        }
    }
}

impl std::error::Error for ApiError {}

impl ApiError {
    /// Returns Stripe's code of the error in the request.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Unreachable(_) => None,
            Self::Refused { code, .. } => code.as_deref(),
        }
    }
}

/// The payer of a new subscription.
#[derive(Clone, Copy, Debug)]
pub enum Buyer<'a> {
    /// A customer that Stripe knows.
    Customer(&'a str),
    /// An e-mail address; Stripe makes a customer of it when the subscription is paid.
    Email(&'a str),
}

/// A price and its quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineItem {
    /// The price's id.
    pub price: String,
    /// The quantity.
    pub quantity: u32,
}

/// A subscription to be bought at Stripe Checkout.
#[derive(Clone, Copy, Debug)]
pub struct NewCheckout<'a> {
    /// The tenant that the subscription will belong to.
    pub tenant: TenantId,
    /// The payer.
    pub buyer: Buyer<'a>,
    /// The items that are bought.
    pub items: &'a [LineItem],
    /// URL of the browser after the payment.
    pub success_url: &'a str,
    /// URL of the browser after a cancellation.
    pub cancel_url: &'a str,
}

/// A page of Stripe's where a subscription can be bought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutSession {
    /// Its id.
    pub id: String,
    /// Its address.
    pub url: String,
    /// Time when the page expires unless it is used.
    pub expires_at: Timestamp,
}

impl Api {
    /// Makes the client from the configuration, whose key may be left out: `None` inside when it is. The outer `None` means that
    /// the configuration has a mistake.
    pub fn from_setup(setup: &mut Setup) -> Option<Option<Self>> {
        let (key, base) = (setup.optional(&config::STRIPE_API_KEY, secret), base_url(setup));
        let base = base?;
        Some(key?.map(|key| Self::new(key, base)))
    }

    /// Makes the client from the configuration, whose key must be set; `None` where it has a mistake.
    pub fn from_setup_required(setup: &mut Setup) -> Option<Self> {
        let (key, base) = (setup.required(&config::STRIPE_API_KEY, secret), base_url(setup));
        Some(Self::new(key?, base?))
    }

    fn new(key: String, (http, base): (reqwest::Client, String)) -> Self {
        let livemode = livemode_of(&key);
        Self { transport: Transport::new(http, base, key), livemode }
    }

    /// Returns the mode of the key, true for live mode, where the key shows it.
    #[must_use]
    pub fn livemode(&self) -> Option<bool> {
        self.livemode
    }

    /// Fetches a subscription with all of its items; `None` when there is none of this id.
    ///
    /// # Errors
    /// When Stripe doesn't answer or refuses.
    pub async fn subscription(&self, id: &str) -> Result<Option<Value>, ApiError> {
        with_timeout(async {
            let Some(mut subscription) = self.object("subscriptions", id).await? else { return Ok(None) };
            if subscription["items"]["has_more"] == true {
                self.add_remaining_items(id, &mut subscription["items"]).await?;
            }
            Ok(Some(subscription))
        })
        .await
    }

    async fn add_remaining_items(&self, id: &str, items: &mut Value) -> Result<(), ApiError> {
        for _ in 0..MAX_ITEM_PAGES {
            let known =
                items["data"].as_array_mut().ok_or_else(|| unreadable_answer("a list of items without data"))?;
            let last =
                known.last().and_then(id_of).ok_or_else(|| unreadable_answer("an item without an id"))?.to_owned();
            let query = [("subscription", id), ("limit", "100"), ("starting_after", &last)];
            let mut page = self.transport.get("/v1/subscription_items", &query).await?;
            known.append(page["data"].as_array_mut().ok_or_else(|| unreadable_answer("a page of items without data"))?);
            if page["has_more"] != true {
                items["has_more"] = false.into();
                return Ok(());
            }
        }
        Err(unreadable_answer("a subscription with more items than Stripe allows"))
    }

    /// Fetches the invoice that a charge or a payment intent paid; `None` when it paid none, or is unknown.
    ///
    /// Up to 2025-03-31 a charge names its invoice. From then on an invoice payment stands between a payment intent and its
    /// invoice, since one payment can be for several.
    ///
    /// # Errors
    /// When Stripe doesn't answer or refuses.
    pub async fn invoice_of_payment(
        &self,
        charge: Option<&str>,
        payment_intent: Option<&str>,
    ) -> Result<Option<Value>, ApiError> {
        with_timeout(async {
            let charge = match charge {
                Some(charge) => self.object("charges", charge).await?.unwrap_or_default(),
                None => Value::Null,
            };
            let invoice = match (id_of(&charge["invoice"]), payment_intent.or_else(|| id_of(&charge["payment_intent"])))
            {
                (Some(invoice), _) => Some(invoice.to_owned()),
                (None, Some(intent)) => self.invoice_of_intent(intent).await?,
                (None, None) => None,
            };
            let Some(invoice) = invoice else { return Ok(None) };
            self.object("invoices", &invoice).await
        })
        .await
    }

    async fn invoice_of_intent(&self, intent: &str) -> Result<Option<String>, ApiError> {
        if !is_id(intent) {
            return Ok(None);
        }
        let query = [("payment[type]", "payment_intent"), ("payment[payment_intent]", intent)];
        let Some(list) = none_if_missing(self.transport.get("/v1/invoice_payments", &query).await)? else {
            return Ok(None);
        };
        let payments =
            list["data"].as_array().ok_or_else(|| unreadable_answer("a list of invoice payments without data"))?;
        // An invoice that the payment was taken off again is listed too.
        let paid = payments.iter().find(|payment| payment["status"] == "paid").or_else(|| payments.first());
        Ok(paid.and_then(|payment| id_of(&payment["invoice"])).map(str::to_owned))
    }

    /// Fetches all objects of a list, the newest first. Each page is bounded in time; the whole is not.
    ///
    /// # Errors
    /// When Stripe doesn't answer or refuses.
    pub async fn list(&self, path: &str, filter: &[(&str, &str)]) -> Result<Vec<Value>, ApiError> {
        let mut all: Vec<Value> = Vec::new();
        for _ in 0..MAX_LIST_PAGES {
            // Invoices with their lines have some kilobytes each.
            let mut query = vec![("limit", "50")];
            query.extend_from_slice(filter);
            let last = all.last().and_then(|object| id_of(&object["id"])).map(str::to_owned);
            query.extend(last.as_deref().map(|last| ("starting_after", last)));
            let mut page = with_timeout(self.transport.get(path, &query)).await?;
            all.append(page["data"].as_array_mut().ok_or_else(|| unreadable_answer("a list without data"))?);
            if page["has_more"] != true {
                return Ok(all);
            }
        }
        Err(unreadable_answer("a list without an end"))
    }

    /// Creates a page where a subscription can be bought.
    ///
    /// # Errors
    /// When Stripe doesn't answer or refuses.
    pub async fn create_checkout(
        &self,
        request: &NewCheckout<'_>,
        idempotency_key: &str,
    ) -> Result<CheckoutSession, ApiError> {
        #[derive(Deserialize)]
        struct Session {
            id: String,
            url: String,
            expires_at: i64,
        }
        let tenant = request.tenant.to_string();
        let mut form = vec![
            ("mode".to_owned(), "subscription".to_owned()),
            ("success_url".to_owned(), request.success_url.to_owned()),
            ("cancel_url".to_owned(), request.cancel_url.to_owned()),
            // The owner is named in metadata, which only holders of an API key can write. `client_reference_id` is not used:
            // any user of a Payment Link can set it.
            ("metadata[tenant_id]".to_owned(), tenant.clone()),
            ("subscription_data[metadata][tenant_id]".to_owned(), tenant),
        ];
        form.push(match request.buyer {
            Buyer::Customer(id) => ("customer".to_owned(), id.to_owned()),
            Buyer::Email(address) => ("customer_email".to_owned(), address.to_owned()),
        });
        for (n, item) in request.items.iter().enumerate() {
            form.push((format!("line_items[{n}][price]"), item.price.clone()));
            form.push((format!("line_items[{n}][quantity]"), item.quantity.to_string()));
        }
        let made = with_timeout(self.transport.post("/v1/checkout/sessions", &form, idempotency_key)).await?;
        let Session { id, url, expires_at } = serde_json::from_value(made)
            .map_err(|e| unreadable_answer(&format!("a checkout session of another shape: {e}")))?;
        let expires_at = Timestamp::from_second(expires_at).map_err(|_| unreadable_answer("a time out of range"))?;
        Ok(CheckoutSession { id, url, expires_at })
    }

    /// Creates a page where a customer changes its subscriptions, and returns its URL.
    ///
    /// # Errors
    /// When Stripe doesn't answer or refuses.
    pub async fn create_portal(
        &self,
        customer: &str,
        return_url: &str,
        idempotency_key: &str,
    ) -> Result<String, ApiError> {
        let form = [("customer", customer), ("return_url", return_url)].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let made = with_timeout(self.transport.post("/v1/billing_portal/sessions", &form, idempotency_key)).await?;
        made["url"].as_str().map(str::to_owned).ok_or_else(|| unreadable_answer("a portal session without a url"))
    }

    /// Fetches an object by its id, if there is one.
    async fn object(&self, kind: &str, id: &str) -> Result<Option<Value>, ApiError> {
        if !is_id(id) {
            return Ok(None);
        }
        none_if_missing(self.transport.get(&format!("/v1/{kind}/{id}"), &[]).await)
    }
}

/// Returns an id, also of an expanded object.
fn id_of(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["id"].as_str())
}

/// Returns true if the text is safe as part of a path.
fn is_id(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn none_if_missing(answer: Result<Value, ApiError>) -> Result<Option<Value>, ApiError> {
    match answer {
        Err(ApiError::Refused { status: 404, code: Some(code), .. }) if code == "resource_missing" => Ok(None),
        answer => answer.map(Some),
    }
}

fn secret(value: &str) -> Result<String, String> {
    let fits = value.bytes().all(|b| b.is_ascii_graphic());
    fits.then(|| value.to_owned()).ok_or_else(|| "must be one word of visible ASCII characters".to_owned())
}

fn base_url(setup: &mut Setup) -> Option<(reqwest::Client, String)> {
    setup.defaulted(&config::STRIPE_API_BASE, |value| {
        let base = config::url(value)?;
        let url = reqwest::Url::parse(&base).map_err(|_| "must be a URL".to_owned())?;
        let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if url.scheme() != "https" && !loopback {
            return Err("must be https unless it is this machine".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err("must be without `?` and `#`: paths are appended to it".to_owned());
        }
        Ok((transport::client()?, base))
    })
}

fn livemode_of(key: &str) -> Option<bool> {
    let of = |kind: &str| ["sk", "rk"].iter().any(|prefix| key.starts_with(&format!("{prefix}_{kind}_")));
    match (of("live"), of("test")) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}
