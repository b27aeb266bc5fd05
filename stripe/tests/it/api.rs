//! The calls of Stripe's API, against a server that reads and answers as Stripe documents.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use common::Setup;
use protocol::id::TenantId;
use serde_json::{Value, json};
use stripe::api::{Api, ApiError, Buyer, LineItem, NewCheckout};
use testing::stripe_api::{Asked, KEY, Reply, StripeApi};

static TENANT: LazyLock<TenantId> = LazyLock::new(TenantId::new);

fn api(stripe: &StripeApi) -> Api {
    let mut setup = Setup::from_variables([("STRIPE_API_KEY", KEY), ("STRIPE_API_BASE", &stripe.url())]);
    Api::from_setup_required(&mut setup).unwrap_or_else(|| panic!("{:?}", setup.mistakes()))
}

/// A Stripe that has these objects, by method and path, and nothing else.
async fn with_objects(objects: Value) -> StripeApi {
    StripeApi::start(move |asked| match objects.get(&asked.what) {
        Some(object) => Reply::ok(object.clone()),
        None => Reply::missing(),
    })
    .await
}

/// A Stripe that answers with these in turn, the last one again and again.
async fn answering(replies: Vec<Reply>) -> StripeApi {
    let mut replies = replies.into_iter().peekable();
    let mut last = None;
    StripeApi::start(move |_| {
        last = replies.next().or_else(|| last.clone());
        last.clone().unwrap()
    })
    .await
}

fn asked(stripe: &StripeApi) -> Vec<String> {
    stripe.asked().into_iter().map(|asked| asked.what).collect()
}

async fn checkout(api: &Api) -> Result<stripe::api::CheckoutSession, ApiError> {
    let items = [
        LineItem { price: "price_team".into(), quantity: 1 },
        LineItem { price: "price_team_seat".into(), quantity: 2 },
    ];
    let ask = NewCheckout {
        tenant: *TENANT,
        buyer: Buyer::Email("ann+stripe@acme.test"),
        items: &items,
        success_url: "https://acme.test/thanks?session={CHECKOUT_SESSION_ID}&a=b",
        cancel_url: "https://acme.test/pläne",
    };
    api.create_checkout(&ask, "key-1").await
}

fn session() -> Reply {
    Reply::ok(json!({
        "id": "cs_test_1", "object": "checkout.session", "mode": "subscription", "expires_at": 1_800_000_000,
        "url": "https://checkout.stripe.com/c/pay/cs_test_1#fid", "status": "open", "livemode": false
    }))
}

fn items(ids: std::ops::Range<usize>, has_more: bool) -> Value {
    let data: Vec<Value> = ids.map(|n| json!({"id": format!("si_{n}"), "object": "subscription_item"})).collect();
    json!({"object": "list", "data": data, "has_more": has_more, "url": "/v1/subscription_items?subscription=sub_1"})
}

#[tokio::test]
async fn a_subscription_comes_with_all_of_its_items() {
    let stripe = StripeApi::start(|asked: &Asked| match asked.what.as_str() {
        "GET /v1/subscriptions/sub_1" => {
            Reply::ok(json!({"id": "sub_1", "status": "active", "items": items(0..10, true)}))
        }
        "GET /v1/subscription_items" => {
            let last = asked.parameters["starting_after"].as_str().unwrap();
            assert_eq!(asked.parameters, json!({"subscription": "sub_1", "limit": "100", "starting_after": last}));
            match last {
                "si_9" => Reply::ok(items(10..110, true)),
                "si_109" => Reply::ok(items(110..112, false)),
                other => panic!("a page after {other}"),
            }
        }
        other => panic!("{other}"),
    })
    .await;
    let subscription = api(&stripe).subscription("sub_1").await.unwrap().unwrap();
    assert_eq!(subscription["status"], "active");
    assert_eq!(subscription["items"]["has_more"], false);
    let ids: Vec<&str> =
        subscription["items"]["data"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!(ids, (0..112).map(|n| format!("si_{n}")).collect::<Vec<_>>());
    assert!(stripe.asked().iter().all(|a| a.version == "2026-10-28.endive" && a.idempotency_key.is_empty()));
}

#[tokio::test]
async fn pages_without_an_end_are_given_up() {
    let stripe = StripeApi::start(|asked: &Asked| match asked.what.as_str() {
        "GET /v1/subscription_items" => Reply::ok(items(0..1, true)),
        _ => Reply::ok(json!({"id": "sub_1", "items": items(0..1, true)})),
    })
    .await;
    let error = api(&stripe).subscription("sub_1").await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)), "{error}");
    assert_eq!(stripe.asked().len(), 11);
}

#[tokio::test]
async fn what_is_not_there_is_none_and_an_id_stays_an_id() {
    let stripe =
        with_objects(json!({"GET /v1/subscriptions/sub_1": {"id": "sub_1", "items": items(0..1, false)}})).await;
    let api = api(&stripe);
    assert_eq!(api.subscription("sub_2").await, Ok(None));
    assert_eq!(asked(&stripe), ["GET /v1/subscriptions/sub_2"]);
    let long = "x".repeat(256);
    for id in
        ["", "../charges/ch_1", "sub_1?expand[]=customer", "sub_1/", "sub 1", "sub_1\n", "süb_1", "%73ub_1", &long]
    {
        assert_eq!(api.subscription(id).await, Ok(None), "{id}");
        assert_eq!(api.invoice_of_payment(Some(id), Some(id)).await, Ok(None), "{id}");
    }
    assert_eq!(asked(&stripe).len(), 1, "nothing was asked with them");
    assert!(api.subscription("sub_1").await.unwrap().is_some());

    let elsewhere = answering(vec![Reply::error(404, "invalid_request_error", None, "Unrecognized request URL")]).await;
    let error = self::api(&elsewhere).subscription("sub_1").await.unwrap_err();
    assert_eq!(error.code(), Some("invalid_request_error"), "not every 404 means that there is no subscription");
}

#[tokio::test]
async fn a_payment_is_traced_in_both_shapes() {
    let old = json!({"id": "in_1", "subscription": "sub_old"});
    let new = json!({"id": "in_1", "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_new"}}});
    let expanded = json!({"id": "in_1", "parent": {"subscription_details": {"subscription": {"id": "sub_new", "object": "subscription"}}}});
    let once = json!({"id": "in_1", "parent": null, "subscription": null});
    let payments = json!({"object": "list", "has_more": false, "data": [
        {"id": "inpay_0", "invoice": "in_0", "status": "canceled", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}},
        {"id": "inpay_1", "invoice": "in_1", "status": "paid", "payment": {"type": "payment_intent", "payment_intent": "pi_1"}},
    ]});
    let expanded_payments =
        json!({"data": [{"id": "inpay_1", "invoice": {"id": "in_1", "object": "invoice"}, "status": "open"}]});
    let both = (Some("ch_1"), Some("pi_1"));
    let cases = [
        ("old", both, json!({"invoice": "in_1", "payment_intent": "pi_1"}), Value::Null, old.clone(), Some("sub_old")),
        ("old, expanded", both, json!({"invoice": {"id": "in_1"}}), Value::Null, old.clone(), Some("sub_old")),
        ("new", both, json!({"payment_intent": "pi_1"}), payments.clone(), new.clone(), Some("sub_new")),
        (
            "by the charge",
            (Some("ch_1"), None),
            json!({"payment_intent": "pi_1"}),
            payments.clone(),
            new.clone(),
            Some("sub_new"),
        ),
        (
            "by an expanded intent",
            (Some("ch_1"), None),
            json!({"payment_intent": {"id": "pi_1"}}),
            payments.clone(),
            new.clone(),
            Some("sub_new"),
        ),
        ("by the intent", (None, Some("pi_1")), Value::Null, payments.clone(), new.clone(), Some("sub_new")),
        ("expanded", (None, Some("pi_1")), Value::Null, expanded_payments, expanded, Some("sub_new")),
        ("an unknown charge", both, Value::Null, payments.clone(), new, Some("sub_new")),
        ("not for a subscription", both, json!({"payment_intent": "pi_1"}), payments, once, None),
        ("for no invoice", both, json!({"payment_intent": "pi_1"}), json!({"data": []}), Value::Null, None),
        ("by nothing", (None, None), Value::Null, Value::Null, Value::Null, None),
        (
            "a charge without an intent",
            (Some("ch_1"), None),
            json!({"payment_intent": null}),
            Value::Null,
            Value::Null,
            None,
        ),
    ];
    for (what, (charge, intent), charge_object, payments, invoice, expected) in cases {
        let mut objects = json!({
            "GET /v1/charges/ch_1": charge_object, "GET /v1/invoice_payments": payments, "GET /v1/invoices/in_1": invoice
        });
        objects.as_object_mut().unwrap().retain(|_, object| !object.is_null());
        let stripe = with_objects(objects).await;
        let found = api(&stripe).invoice_of_payment(charge, intent).await.unwrap();
        let found = found.and_then(|found| stripe::event::invoice(&found).unwrap().subscription);
        assert_eq!(found.as_deref(), expected, "{what}");
        for asked in stripe.asked().iter().filter(|a| a.what.ends_with("invoice_payments")) {
            let of_intent = json!({"payment": {"type": "payment_intent", "payment_intent": "pi_1"}});
            assert_eq!(asked.parameters, of_intent, "{what}");
        }
    }
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    let page = |ids: &[&str], has_more: bool| {
        Reply::ok(json!({"data": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>(), "has_more": has_more}))
    };
    let stripe = answering(vec![page(&["in_3", "in_2"], true), page(&["in_1"], false)]).await;
    let all = api(&stripe).list("/v1/invoices", &[("customer", "cus_1")]).await.unwrap();
    assert_eq!(all, [json!({"id": "in_3"}), json!({"id": "in_2"}), json!({"id": "in_1"})]);
    let pages: Vec<Value> = stripe.asked().into_iter().map(|asked| asked.parameters).collect();
    let second = json!({"customer": "cus_1", "limit": "50", "starting_after": "in_2"});
    assert_eq!(pages, [json!({"customer": "cus_1", "limit": "50"}), second]);
}

#[tokio::test]
async fn a_checkout_is_written_as_stripe_reads_it() {
    let stripe = answering(vec![session()]).await;
    let made = checkout(&api(&stripe)).await.unwrap();
    assert_eq!((made.id.as_str(), made.expires_at.as_second()), ("cs_test_1", 1_800_000_000));
    assert_eq!(made.url, "https://checkout.stripe.com/c/pay/cs_test_1#fid");
    let asked = stripe.asked().remove(0);
    assert_eq!((asked.what.as_str(), asked.idempotency_key.as_str()), ("POST /v1/checkout/sessions", "key-1"));
    assert_eq!(
        asked.parameters,
        json!({
            "mode": "subscription",
            "line_items": {
                "0": {"price": "price_team", "quantity": "1"},
                "1": {"price": "price_team_seat", "quantity": "2"},
            },
            "customer_email": "ann+stripe@acme.test",
            "success_url": "https://acme.test/thanks?session={CHECKOUT_SESSION_ID}&a=b",
            "cancel_url": "https://acme.test/pläne",
            "metadata": {"tenant_id": TENANT.to_string()},
            "subscription_data": {"metadata": {"tenant_id": TENANT.to_string()}},
        })
    );

    let ask = NewCheckout {
        tenant: *TENANT,
        buyer: Buyer::Customer("cus_1"),
        items: &[],
        success_url: "https://acme.test",
        cancel_url: "https://acme.test",
    };
    api(&stripe).create_checkout(&ask, "key-2").await.unwrap();
    let parameters = stripe.asked().remove(1).parameters;
    assert_eq!((&parameters["customer"], &parameters["customer_email"]), (&json!("cus_1"), &Value::Null));
}

#[tokio::test]
async fn a_portal_is_opened_for_a_customer() {
    let stripe =
        answering(vec![Reply::ok(json!({"id": "bps_1", "url": "https://billing.stripe.com/p/session/x"}))]).await;
    let url = api(&stripe).create_portal("cus_1", "https://acme.test/back", "key-1").await.unwrap();
    assert_eq!(url, "https://billing.stripe.com/p/session/x");
    let asked = stripe.asked().remove(0);
    assert_eq!(asked.what, "POST /v1/billing_portal/sessions");
    assert_eq!(asked.parameters, json!({"customer": "cus_1", "return_url": "https://acme.test/back"}));
}

#[tokio::test]
async fn what_may_do_better_is_tried_again_under_the_same_key() {
    let passing = [
        Reply::error(409, "idempotency_error", Some("idempotency_key_in_use"), "Another request is in progress."),
        Reply::error(429, "rate_limit_error", Some("rate_limit"), "Too many requests."),
        Reply::error(429, "invalid_request_error", Some("lock_timeout"), "The object is locked."),
        Reply::error(500, "api_error", None, "An error occurred."),
        Reply::Bytes(502, b"<html>Bad Gateway</html>".to_vec()),
        Reply::Bytes(503, Vec::new()),
    ];
    for reply in passing {
        let stripe = answering(vec![reply.clone(), reply.clone(), session()]).await;
        checkout(&api(&stripe)).await.unwrap_or_else(|e| panic!("{reply:?}: {e}"));
        let asked = stripe.asked();
        assert_eq!(asked.len(), 3, "{reply:?}");
        assert!(asked.iter().all(|a| a.idempotency_key == "key-1" && a.parameters == asked[0].parameters));

        let stripe = answering(vec![reply.clone()]).await;
        let error = checkout(&api(&stripe)).await.unwrap_err();
        assert!(matches!(error, ApiError::Unreachable(_)), "{error}");
        assert_eq!(stripe.asked().len(), 3, "{reply:?}");
    }
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again() {
    let refusals = [
        Reply::error(400, "invalid_request_error", Some("resource_missing"), "No such price: 'price_team'"),
        Reply::error(
            400,
            "idempotency_error",
            None,
            "Keys for idempotent requests can only be used with the same parameters.",
        ),
        Reply::error(402, "card_error", Some("card_declined"), "Your card was declined."),
        Reply::error(403, "invalid_request_error", None, "The key doesn't have this permission."),
        Reply::Bytes(418, b"not JSON".to_vec()),
    ];
    for reply in refusals {
        let stripe = answering(vec![reply.clone()]).await;
        let error = checkout(&api(&stripe)).await.unwrap_err();
        let ApiError::Refused { status, code, message, .. } = &error else { panic!("{reply:?}: {error}") };
        assert_eq!(stripe.asked().len(), 1, "{reply:?}");
        assert!(message.contains("req_test"), "{message}");
        match &reply {
            Reply::Json(expected, body) => {
                let error = &body["error"];
                let word = error["code"].as_str().or(error["type"].as_str());
                assert_eq!((*status, code.as_deref()), (*expected, word));
                assert!(message.starts_with(error["message"].as_str().unwrap()), "{message}");
            }
            _ => assert_eq!((*status, code), (418, &None)),
        }
        assert!(error.to_string().contains(&format!("refused the request with {status}")), "{error}");
    }
}

#[tokio::test]
async fn answers_are_bounded_and_lead_nowhere_else() {
    let huge = vec![b' '; (1 << 20) + 1];
    let lured = StripeApi::start(|_| session()).await;
    for reply in [
        Reply::Bytes(200, huge),
        Reply::Bytes(200, b"not JSON".to_vec()),
        Reply::ok(json!({"id": "cs_1", "url": null, "expires_at": 1})),
        Reply::Redirect(lured.url()),
    ] {
        let stripe = answering(vec![reply]).await;
        checkout(&api(&stripe)).await.unwrap_err();
        assert_eq!(stripe.asked().len(), 1);
    }
    assert!(lured.asked().is_empty());
}

#[tokio::test]
async fn a_stripe_that_is_gone_is_unreachable() {
    let stripe = answering(vec![session()]).await;
    let api = api(&stripe);
    stripe.cut();
    let error = checkout(&api).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)), "{error}");
    assert!(stripe.asked().is_empty());
    stripe.resume();
    checkout(&api).await.unwrap();
}

#[tokio::test]
async fn a_stripe_that_is_silent_is_unreachable_in_time() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let stripe = StripeApi::start({
        let attempts = Arc::clone(&attempts);
        move |_| {
            attempts.fetch_add(1, Ordering::Relaxed);
            Reply::Silence
        }
    })
    .await;
    let began = std::time::Instant::now();
    let error = checkout(&api(&stripe)).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)), "{error}");
    assert!(began.elapsed().as_secs() < 8, "well before whoever waits for it is answered that it took too long");
    assert_eq!(attempts.load(Ordering::Relaxed), 3);

    // One attempt that hangs costs no more than itself.
    let stripe = answering(vec![Reply::Silence, session()]).await;
    checkout(&api(&stripe)).await.unwrap();
}

#[tokio::test]
async fn the_key_is_never_shown() {
    let stripe = answering(vec![session()]).await;
    let wrong = "sk_live_a_key_that_somebody_mistyped";
    let mut setup = Setup::from_variables([("STRIPE_API_KEY", wrong), ("STRIPE_API_BASE", &stripe.url())]);
    let api = Api::from_setup_required(&mut setup).unwrap();
    let error = checkout(&api).await.unwrap_err();
    assert!(matches!(error, ApiError::Refused { status: 401, .. }), "{error}");
    for shown in [format!("{api:?}"), format!("{error:?}"), error.to_string(), format!("{setup:?}")] {
        assert!(!shown.contains(wrong), "{shown}");
    }
    stripe.cut();
    assert!(!checkout(&api).await.unwrap_err().to_string().contains(wrong));
}

#[test]
fn the_configuration_says_what_is_wrong_with_it() {
    let ask = |key: &str, base: &str| {
        let mut setup = Setup::from_variables([("STRIPE_API_KEY", key), ("STRIPE_API_BASE", base)]);
        let (optional, required) = (Api::from_setup(&mut setup), Api::from_setup_required(&mut setup));
        let mistakes: Vec<String> = setup.mistakes().iter().map(ToString::to_string).collect();
        (optional.map(|api| api.map(|api| api.livemode())), required.map(|api| api.livemode()), mistakes.join("\n"))
    };
    for (key, livemode) in [
        ("sk_live_1", Some(true)),
        ("rk_live_1", Some(true)),
        ("sk_test_1", Some(false)),
        ("rk_test_1", Some(false)),
        ("something_else", None),
    ] {
        assert_eq!(ask(key, ""), (Some(Some(livemode)), Some(livemode), String::new()), "{key}");
    }
    let (optional, required, mistakes) = ask("", "");
    assert_eq!((optional, required), (Some(None), None));
    assert!(mistakes.contains("STRIPE_API_KEY: is not set"), "{mistakes}");
    let (_, required, mistakes) = ask("two words", "");
    assert!(required.is_none() && mistakes.contains("STRIPE_API_KEY") && !mistakes.contains("two words"), "{mistakes}");
    for base in
        ["http://api.stripe.com", "http://127.0.0.1.nip.test", "ftp://127.0.0.1", "x", "https://x?y", "https://x#y"]
    {
        let (optional, _, mistakes) = ask("sk_test_1", base);
        assert!(optional.is_none() && mistakes.contains("STRIPE_API_BASE"), "{base}: {mistakes}");
    }
    for base in ["https://stripe.test/", "http://127.0.0.1:1", "http://localhost:1/api", "http://[::1]"] {
        assert!(ask("sk_test_1", base).1.is_some(), "{base}");
    }
}
