//! The smoke test of a deployment.

use testing::World;

use crate::ops_cli::{command, output};

async fn smoke(function: &str, url: &str) -> crate::ops_cli::CommandOutput {
    output(command(&[].into(), &["smoke", function, url])).await
}

#[tokio::test]
async fn a_function_is_told_from_another_one_and_from_one_that_is_ill() {
    let world = World::new().await;
    let url = |client: testing::http::Client| client.url().to_owned();
    let webhook = url(world.serve("webhook-stripe", webhook_stripe::State::connect, webhook_stripe::routes).await);
    let good = smoke("webhook-stripe", &webhook).await;
    assert_eq!(good.status, 0, "{good:?}");

    let another = smoke("heartbeat", &webhook).await;
    assert_eq!(another.status, 1, "{another:?}");
    assert!(another.err.contains("/ready") && another.err.contains("heartbeat"), "{another:?}");

    let world = world.with("DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/none");
    let ill = url(world.serve("webhook-stripe", webhook_stripe::State::connect, webhook_stripe::routes).await);
    let ill = smoke("webhook-stripe", &ill).await;
    assert!(ill.status == 1 && ill.err.contains("503 instead of 200"), "{ill:?}");

    assert_eq!(smoke("webhook-stripe", "http://127.0.0.1:1").await.status, 1);
    assert_eq!(smoke("nobody", &webhook).await.status, 64);
    assert_eq!(smoke("heartbeat", "no url").await.status, 64);
}
