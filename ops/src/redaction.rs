//! Removes a person from Stripe's stored events; the effects of the events are kept.

use serde_json::{Map, Value};

/// The fields of Stripe's objects that identify a person, in all API versions.
const PERSONAL: [&str; 24] = [
    "address",
    "billing_address",
    "billing_details",
    "business_name",
    "customer_address",
    "customer_details",
    "customer_email",
    "customer_email_address",
    "customer_name",
    "customer_phone",
    "customer_purchase_ip",
    "customer_shipping",
    "customer_tax_ids",
    "email",
    "individual_name",
    "ip",
    "ip_address",
    "name",
    "phone",
    "receipt_email",
    "shipping",
    "shipping_address",
    "shipping_details",
    "tax_ids",
];
/// Replacement of a text that had the address.
const ERASED: &str = "erased";

/// Fields of an event that are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent<'a> {
    /// All that identify a person.
    Everything,
    /// Those of objects that have this address, which is in lower case; and every text that has it.
    Mentions(&'a str),
}

/// Returns an event's body without the person; `None` when there is nothing to remove.
pub(crate) fn redact(body: &[u8], extent: Extent<'_>) -> Option<Vec<u8>> {
    match serde_json::from_slice::<Value>(body) {
        Ok(mut event) => walk(&mut event, extent).then(|| event.to_string().into_bytes()),
        // It can never be applied, so that nothing of it is needed.
        Err(_) if extent.is_in(&String::from_utf8_lossy(body)) => Some(format!("\"{ERASED}\"").into_bytes()),
        Err(_) => None,
    }
}

/// Returns every text in an event that may be an id, such as `cus_…`.
pub(crate) fn ids(body: &[u8]) -> Vec<String> {
    fn collect(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) if text.len() <= 255 && text.contains('_') => found.push(text.clone()),
            Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
            Value::Object(fields) => fields.values().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(&serde_json::from_slice(body).unwrap_or_default(), &mut found);
    found
}

impl Extent<'_> {
    /// Checks whether a text has to go, whatever field it is in.
    fn is_in(self, text: &str) -> bool {
        matches!(self, Self::Mentions(address) if text.to_lowercase().contains(address))
    }

    /// Checks whether an object's personal fields are the person's.
    fn is_about(self, fields: &Map<String, Value>) -> bool {
        match self {
            Self::Everything => true,
            Self::Mentions(_) => fields.values().any(|value| value.as_str().is_some_and(|text| self.is_in(text))),
        }
    }
}

/// Removes the person, and returns true if there was anything to remove.
fn walk(value: &mut Value, extent: Extent<'_>) -> bool {
    match value {
        Value::Object(fields) => {
            let is_about_person = extent.is_about(fields);
            let mut changed = false;
            for (name, value) in fields.iter_mut() {
                if is_about_person && PERSONAL.contains(&name.as_str()) && !value.is_null() {
                    *value = Value::Null;
                    changed = true;
                } else {
                    changed |= walk(value, extent);
                }
            }
            changed
        }
        // To the last one, also where one has changed already.
        Value::Array(values) => values.iter_mut().filter_map(|value| walk(value, extent).then_some(())).count() > 0,
        Value::String(text) if extent.is_in(text) => {
            ERASED.clone_into(text);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn redacted(event: &Value, extent: Extent<'_>) -> Option<Value> {
        redact(event.to_string().as_bytes(), extent).map(|body| serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn everything_personal_goes_and_what_the_event_did_stays() {
        let charge = json!({"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {
            "object": {"id": "ch_1", "customer": "cus_1", "amount": 9900, "receipt_email": "ada@acme.test",
                "billing_details": {"name": "Ada L.", "phone": "1"}, "metadata": {"tenant_id": "t"}},
            "previous_attributes": {"receipt_email": null, "shipping": {"name": "Ada L."}}}});
        let expected = json!({"id": "evt_1", "type": "charge.refunded", "created": 1, "data": {
            "object": {"id": "ch_1", "customer": "cus_1", "amount": 9900, "receipt_email": null,
                "billing_details": null, "metadata": {"tenant_id": "t"}},
            "previous_attributes": {"receipt_email": null, "shipping": null}}});
        assert_eq!(redacted(&charge, Extent::Everything), Some(expected.clone()));
        assert_eq!(redacted(&expected, Extent::Everything), None, "there is nothing left to take out");
    }

    #[test]
    fn of_another_customer_only_the_objects_with_the_address_go() {
        let event = json!({"data": {"object": {
            "customer_details": {"email": "Ada@ACME.test", "name": "Ada L.", "address": {"city": "B"}},
            "owner": {"email": "bob@acme.test", "name": "Bob"}, "lines": [{"description": "for ada@acme.test, paid", "amount": 1}]}}});
        let expected = json!({"data": {"object": {
            "customer_details": {"email": null, "name": null, "address": null},
            "owner": {"email": "bob@acme.test", "name": "Bob"}, "lines": [{"description": "erased", "amount": 1}]}}});
        assert_eq!(redacted(&event, Extent::Mentions("ada@acme.test")), Some(expected));
        assert_eq!(redacted(&event, Extent::Mentions("eve@acme.test")), None);
        assert_eq!(redact(b"{\"email\": \"ada@acme.test", Extent::Mentions("ada@acme.test")).unwrap(), b"\"erased\"");
        assert_eq!(redact(b"{", Extent::Mentions("ada@acme.test")), None);
    }

    #[test]
    fn ids_are_found_wherever_they_are() {
        let body =
            json!({"id": "evt_1", "data": {"object": {"customer": {"id": "cus_1"}, "charges": ["ch_1"], "n": 1}}});
        let mut found = ids(body.to_string().as_bytes());
        found.sort();
        assert_eq!(found, ["ch_1", "cus_1", "evt_1"]);
        assert!(ids(b"no event").is_empty());
    }
}
