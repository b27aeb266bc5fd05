//! Guarantees to programs that embed the library.

use coditect::{
    Config, Context, ContextStore, Error, Filter, Kind, License, LicenseClient, LicenseClientBuilder, Notice, Seat,
    Status, Verdict,
};

#[expect(dead_code, reason = "its main is for those who run it as a program")]
#[path = "../../../client/examples/engine.rs"]
mod engine;

#[test]
fn threads_share_a_client_and_take_seats_along() {
    fn shared<T: Send + Sync + 'static>() {}
    fn sent<T: Send + 'static>() {}
    shared::<LicenseClient>();
    shared::<LicenseClientBuilder>();
    shared::<Seat>();
    shared::<Config>();
    shared::<Verdict>();
    shared::<License>();
    shared::<Status>();
    shared::<Notice>();
    shared::<Error>();
    // Used by one thread at a time; others open their own.
    sent::<ContextStore>();
    sent::<Context>();
    let _: Box<dyn std::error::Error + Send + Sync> = Box::new(Error::NoKey);
}

#[test]
fn the_example_runs_on_the_free_tier() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let run = || engine::run(LicenseClient::builder().home(&home));
    for _ in 0..3 {
        run().unwrap();
    }
    let kept = ContextStore::open(Some(home.clone())).unwrap();
    assert_eq!(kept.list(Kind::Task, &Filter::default()).unwrap().len(), 3);
    assert_eq!(kept.status().unwrap().waiting, 3, "what is done again changes nothing");
    run().unwrap_err();
    assert!(matches!(run(), Err(Error::UsedUp(today)) if today.left() == 0));
}
