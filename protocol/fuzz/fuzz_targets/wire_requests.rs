//! Whatever body arrives: what reads as a request, or as an answer, is written and read as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::wire::{
    AcquireAnswer, AcquireRequest, AuthAnswer, AuthRequest, CheckoutAnswer, CheckoutRequest, Discovery,
    HeartbeatAnswer, HeartbeatRequest, Jwks, PortalAnswer, PortalRequest, PublicKeyAnswer, ReleaseAnswer,
    ReleaseRequest, TelemetryAnswer, TelemetryRequest, ValidateAnswer, ValidateRequest,
};
use serde_json::Value;

/// Compared as JSON: times lose their fractions the first time they are written, and nothing the second time.
macro_rules! round_trips {
    ($body:ident: $($name:ident)*) => {$(
        if let Ok(read) = serde_json::from_slice::<$name>($body) {
            let once: Value = serde_json::to_value(&read).expect("ours is JSON");
            let again: $name = serde_json::from_value(once.clone()).expect("ours reads back");
            assert_eq!(serde_json::to_value(&again).expect("ours is JSON"), once);
        }
    )*};
}

fuzz_target!(|body: &[u8]| {
    round_trips!(body: AuthRequest ValidateRequest AcquireRequest HeartbeatRequest ReleaseRequest CheckoutRequest PortalRequest TelemetryRequest);
    round_trips!(body: AuthAnswer ValidateAnswer AcquireAnswer HeartbeatAnswer ReleaseAnswer CheckoutAnswer PortalAnswer TelemetryAnswer);
    round_trips!(body: Discovery Jwks PublicKeyAnswer);
});
