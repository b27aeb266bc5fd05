//! Stripe's refusals as problems: the caller reads what it means and what to do, the log has Stripe's own words.

use common::Problem;
use common::idempotency::Idempotency;
use protocol::problem::FieldError;
use stripe::api::ApiError;

/// The problem for a call that failed. `urls` point to the addresses that Stripe was given, `plan` is what was to be
/// bought, if anything.
pub(crate) fn refusal(error: ApiError, idempotency: &Idempotency, urls: &[&str], plan: Option<&str>) -> Problem {
    let (status, code, param) = match &error {
        ApiError::Unreachable(why) => return Problem::unavailable("stripe", why),
        ApiError::Refused { status, code, param, .. } => {
            (*status, code.as_deref(), param.as_deref().unwrap_or_default())
        }
    };
    let detail = match (code, param) {
        (Some("idempotency_error"), _) if idempotency.0.is_some() => return Problem::idempotency_key_reused(),
        (Some("url_invalid"), _) | (_, "success_url" | "cancel_url" | "return_url") => return unusable_urls(urls, param),
        (Some("email_invalid"), _) | (_, "customer_email") => {
            "Stripe does not take your e-mail address, so the page cannot be opened. Ask support to correct the address of \
             your account."
                .to_owned()
        }
        (_, "customer") => "Stripe does not know your organization as a customer any more, so the page cannot be opened. Tell support \
             the request id; another request changes nothing until then."
            .to_owned(),
        (_, param) if plan.is_some() && param.starts_with("line_items") => format!(
            "Stripe does not sell the plan {} as it was asked for: a price may have been archived there. Nothing was bought. \
             Choose another plan or number of seats, or tell support the request id.",
            plan.unwrap_or_default()
        ),
        _ if matches!(status, 401 | 403) => {
            "Stripe refuses this service's access, so nothing can be bought or changed at the moment. Nothing was charged. \
             Tell support the request id."
                .to_owned()
        }
        _ => "Stripe refused to open the page. Nothing was bought or charged. Tell support the request id; another request \
             changes nothing until then."
            .to_owned(),
    };
    Problem::payment_service_refused(detail, error)
}

/// Points to the address that Stripe blames, or to all of them where it names none.
fn unusable_urls(urls: &[&str], param: &str) -> Problem {
    let detail = "The payment service doesn't take this address. Use one of a public host name.";
    let blamed = |at: &&&str| !urls.iter().any(|url| url[1..] == *param) || at[1..] == *param;
    let errors = urls.iter().filter(blamed);
    Problem::validation(errors.map(|at| FieldError { pointer: (*at).to_owned(), detail: detail.to_owned() }).collect())
}
