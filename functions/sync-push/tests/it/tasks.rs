//! Task events, and the views.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use testing::http::{Answer, Client, Method};

use crate::cloud::{Cloud, decision, statuses, with, words};

const TASKS: &str = "/api/v1/context/tasks";
const AT: &str = "2026-11-01T10:00:00Z";

async fn send(client: &Client, body: Value) -> Vec<Value> {
    client.post(TASKS, body, 200).await.body["results"].as_array().unwrap().clone()
}

/// A view's pages, one after the other.
async fn listed(client: &Client, path: &str, limit: u8) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    let mark = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = client.get(&format!("{path}{mark}limit={limit}{cursor}"), 200).await;
        let data = page.body["data"].as_array().unwrap();
        assert!(data.len() <= usize::from(limit));
        all.extend(data.iter().cloned());
        assert_eq!(page.body["has_more"], json!(!page.body["next_cursor"].is_null()));
        if page.body["has_more"] == false {
            return all;
        }
        cursor = format!("&cursor={}", page.text("/next_cursor"));
    }
}

fn ids<'a>(views: &'a [Value], name: &str) -> Vec<&'a str> {
    views.iter().map(|v| v[name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn one_task_or_several_are_taken_and_the_last_write_wins() {
    let cloud = Cloud::new().await;
    let whole = json!({
        "task_id": "t1", "description": "Write it", "status": "in_progress", "outcome": "none yet", "project_id": "p",
        "tool_success_count": 3, "tool_error_count": 1, "user_corrections": 0,
    });
    assert_eq!(statuses(&send(&cloud.push, whole.clone()).await), ["created"]);
    let several =
        json!([{"task_id": "t1", "status": "completed"}, {"task_id": "t2", "invented": 1}, {"task_id": "t1"}]);
    assert_eq!(words(&send(&cloud.push, several).await), ["updated", "created", "repeated_id"]);
    assert_eq!(statuses(&send(&cloud.push, json!([])).await), Vec::<&str>::new());

    let views = cloud.pull.get(TASKS, 200).await.body;
    assert_eq!(ids(views["data"].as_array().unwrap(), "task_id"), ["t2", "t1"], "the latest change first");
    let now = &views["data"][1];
    assert_eq!((&now["status"], &now["description"], &now["version"]), (&json!("completed"), &Value::Null, &json!(2)));
    assert_eq!(now["device_id"], "api");
    // The event is the whole task, also where it says that it belongs to no project any more.
    assert_eq!(now["project_id"], Value::Null);
    assert_eq!(statuses(&send(&cloud.push, whole).await), ["updated"]);
    let again = cloud.pull.get(TASKS, 200).await.body["data"][0].clone();
    for (name, value) in [
        ("tool_success_count", json!(3)),
        ("tool_error_count", json!(1)),
        ("user_corrections", json!(0)),
        ("project_id", json!("p")),
    ] {
        assert_eq!(again[name], value, "{name}");
    }
    assert_eq!(cloud.status().await["kinds"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bad_events_are_refused_alone_in_a_list_and_with_a_pointer_by_themselves() {
    let cloud = Cloud::new().await;
    let refused = |path: &'static str, body: Value| {
        let push = cloud.push.clone();
        async move {
            let answer = push.post(TASKS, body, 422).await;
            assert_eq!(answer.text("/errors/0/pointer"), path, "{:#}", answer.body);
        }
    };
    refused("", json!({})).await;
    refused("/task_id", json!({"task_id": ""})).await;
    refused("/task_id", json!({"task_id": "a\u{0}"})).await;
    refused("/status", json!({"task_id": "t", "status": "In Progress"})).await;
    refused("/tool_success_count", json!({"task_id": "t", "tool_success_count": -1})).await;
    refused("", json!((0..501).map(|n| json!({"task_id": n.to_string()})).collect::<Vec<_>>())).await;

    let list = json!([
        {"task_id": "good"}, 5, null, "t", ["t"], {}, {"task_id": 1}, {"task_id": "t", "status": "X"},
        {"task_id": "t", "description": "a\u{0}b"}, {"task_id": "t", "description": "x".repeat(256 << 10)}, {"task_id": "too"},
    ]);
    let results = send(&cloud.push, list).await;
    let mut expected = vec!["created"];
    expected.extend(["invalid_record"; 7]);
    expected.extend(["invalid_content", "invalid_record", "created"]);
    assert_eq!(words(&results), expected);
    for broken in ["", "[", "[{]", "word", "[1,]", "{\"task_id\":\"t\"", "[] []", "{\"task_id\":\"\\ud800\"}"] {
        let request = cloud.push.request(Method::POST, TASKS).header("content-type", "application/json").body(broken);
        let answer = cloud.push.send(request, 400).await;
        assert_eq!(answer.text("/code"), "malformed_body", "{broken}");
    }
    assert_eq!(cloud.status().await["records"]["used"], 2);
}

#[tokio::test]
async fn tasks_are_listed_by_status_and_project_page_by_page() {
    let cloud = Cloud::new().await;
    let task = |n: usize| {
        let (status, project) = (["pending", "completed", "in_progress"][n % 3], ["p", "q"][n % 2]);
        json!({"kind": "task", "id": format!("t{n:02}"), "project_id": project, "updated_at": AT,
            "content": {"status": status, "description": n.to_string()}})
    };
    for chunk in (0..30).collect::<Vec<_>>().chunks(7) {
        cloud.push("a", json!(chunk.iter().map(|n| task(*n)).collect::<Vec<_>>())).await;
    }
    let gone = json!({"kind": "task", "id": "t29", "updated_at": AT, "base_version": 1, "deleted": true});
    let moved = with(with(task(0), "content", json!({"status": "completed"})), "base_version", 1);
    cloud.push("a", json!([gone, moved])).await;
    let expected = |is_in: &dyn Fn(usize) -> bool| -> Vec<String> {
        (0..29).rev().filter(|n| is_in(*n)).map(|n| format!("t{n:02}")).collect()
    };
    let first = |first: &str, rest: Vec<String>| -> Vec<String> { [vec![first.to_owned()], rest].concat() };
    for (query, wanted) in [
        ("", first("t00", expected(&|n| n != 0))),
        ("?status=completed", first("t00", expected(&|n| n % 3 == 1))),
        ("?status=pending", expected(&|n| n % 3 == 0 && n != 0)),
        ("?project_id=q", expected(&|n| n % 2 == 1)),
        ("?project_id=p&status=completed", first("t00", expected(&|n| n % 2 == 0 && n % 3 == 1))),
        ("?project_id=none", Vec::new()),
        ("?status=invented", Vec::new()),
    ] {
        for limit in [1, 4, 200] {
            assert_eq!(
                ids(&listed(&cloud.pull, &format!("{TASKS}{query}"), limit).await, "task_id"),
                wanted,
                "{query}, {limit}"
            );
        }
    }
    for (query, pointer) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("status=Bad", "status"),
        ("project_id=", "project_id"),
    ] {
        let answer = cloud.pull.get(&format!("{TASKS}?{query}"), 422).await;
        assert_eq!(answer.text("/errors/0/pointer"), pointer, "{query}");
    }
    // A status of another shape is a content like any other, and no status to ask for.
    let odd = json!({"kind": "task", "id": "odd", "updated_at": AT, "content": {"status": ["done"], "description": 5, "user_corrections": -1}});
    cloud.push("a", json!([odd])).await;
    let odd = cloud.pull.get(&format!("{TASKS}?limit=1"), 200).await.body["data"][0].clone();
    assert_eq!(
        (&odd["task_id"], &odd["status"], &odd["description"], &odd["user_corrections"]),
        (&json!("odd"), &Value::Null, &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn decisions_and_learnings_have_their_fields_beside_the_records_own() {
    let cloud = Cloud::new().await;
    let content = json!({"title": "Use Postgres", "id": "mine", "version": "9", "project_id": 5, "encrypted": true, "updated_at": 0, "device_id": {}, "deep": [1]});
    let learning = json!({"kind": "skill_learning", "id": "l", "project_id": "p", "updated_at": AT, "content": {"skill": "patience"}});
    cloud.push("a", json!([with(decision("d", "", AT), "content", content), learning, decision("e", "two", AT)])).await;
    let decisions = listed(&cloud.pull, "/api/v1/context/decisions", 1).await;
    assert_eq!(ids(&decisions, "id"), ["e", "d"]);
    let fields: BTreeSet<&str> = decisions[1].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["id", "project_id", "encrypted", "version", "updated_at", "device_id", "title", "deep"].into());
    assert_eq!(
        (&decisions[1]["version"], &decisions[1]["encrypted"], &decisions[1]["title"]),
        (&json!(1), &json!(false), &json!("Use Postgres"))
    );

    let of = |path: &'static str| async { listed(&cloud.pull, path, 50).await };
    let learnings = of("/api/v1/context/learnings?project_id=p").await;
    assert_eq!((ids(&learnings, "id"), &learnings[0]["skill"]), (vec!["l"], &json!("patience")));
    assert!(of("/api/v1/context/decisions?project_id=p").await.is_empty());
    let raw: Answer = cloud.pull.get("/api/v1/context/decisions?limit=1", 200).await;
    let foreign = raw.text("/next_cursor").to_owned();
    // The same position of another kind of listing means nothing.
    for path in ["/api/v1/context/pull", "/api/v1/context/history?kind=decision&id=d"] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let answer = cloud.pull.get(&format!("{path}{mark}cursor={foreign}"), 400).await;
        assert_eq!(answer.text("/code"), "invalid_cursor");
    }
}
