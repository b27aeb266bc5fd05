//! Tests of the query parameters.

use crate::pages::tenant;

#[tokio::test]
async fn a_parameter_that_is_wrong_is_named() {
    let (_world, _, pull) = tenant().await;
    let long = "x".repeat(129);
    for (query, pointer) in [
        ("pull?limit=0", "limit"),
        ("pull?limit=1001", "limit"),
        ("pull?limit=-1", "limit"),
        ("pull?limit=1.5", "limit"),
        ("pull?limit=99999999999999999999", "limit"),
        ("pull?limit=", "limit"),
        ("pull?kind=gossip", "kind"),
        ("pull?kind=", "kind"),
        ("pull?kind=Task", "kind"),
        ("pull?project_id=", "project_id"),
        ("pull?project_id=a%00b", "project_id"),
        ("pull?project_id=a%0ab", "project_id"),
        (&format!("pull?project_id={long}"), "project_id"),
        ("tasks?limit=201", "limit"),
        ("tasks?status=%27", "status"),
        ("decisions?limit=0", "limit"),
        ("learnings?project_id=%00", "project_id"),
        ("history?kind=gossip&id=x", "kind"),
        ("history?kind=task&id=", "id"),
        (&format!("history?kind=task&id={long}"), "id"),
        ("history?kind=task&id=x&limit=0", "limit"),
    ] {
        let answer = pull.get(&format!("/api/v1/context/{query}"), 422).await;
        assert_eq!((answer.text("/code"), answer.text("/errors/0/pointer")), ("validation_failed", pointer), "{query}");
    }
    for query in ["history", "history?kind=task", "history?id=x", "pull?limit=1&limit=2", "pull?kind=task&kind=task"] {
        assert_eq!(
            pull.get(&format!("/api/v1/context/{query}"), 422).await.text("/code"),
            "validation_failed",
            "{query}"
        );
    }
    for query in ["pull?cursor=", "tasks?cursor=x", "decisions?cursor=%00", "history?kind=task&id=x&cursor=x"] {
        assert_eq!(pull.get(&format!("/api/v1/context/{query}"), 400).await.text("/code"), "invalid_cursor", "{query}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_ignored_and_what_is_not_there_is_empty() {
    let (_world, _, pull) = tenant().await;
    for query in [
        "pull",
        "pull?",
        "pull?invented=1",
        "pull?limit=1000",
        "pull?kind=component",
        "pull?project_id=%27;--",
        "pull?project_id=%F0%9F%98%80",
    ] {
        let page = pull.get(&format!("/api/v1/context/{query}"), 200).await.body;
        assert_eq!((page["records"].as_array().unwrap().len(), &page["has_more"]), (0, &false.into()), "{query}");
        let cursor = page["next_cursor"].as_str().unwrap();
        pull.get(&format!("/api/v1/context/pull?cursor={cursor}"), 200).await;
    }
    let missing = pull.get("/api/v1/context/history?kind=task&id=x", 404).await;
    assert_eq!(missing.text("/code"), "not_found");
    let status = pull.get("/api/v1/context/status", 200).await.body;
    assert_eq!((status["kinds"].as_array().unwrap().len(), &status["records"]["used"]), (0, &0.into()));
}
