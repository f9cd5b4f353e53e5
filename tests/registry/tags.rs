//! Lists of tags: their pages, and registries whose lists have no end.

use lamina::registry::RegistryErrorKind;
use serde_json::json;

use crate::common::{image, plain, tags};
use crate::server::{Reply, Server};

fn page(tags: &[&str]) -> Reply {
    Reply::new(200, json!({"name": "a/b", "tags": tags}).to_string())
}

fn listed(server: &Server) -> Result<Vec<String>, String> {
    let answer = tags(&plain(&[&server.host]), &image(&server.host, "a/b:1"));
    answer.map_err(|error| match error.kind {
        RegistryErrorKind::Malformed { why, .. } => why,
        other => panic!("{other:?}"),
    })
}

#[test]
fn pages_are_followed_by_links_of_every_form() {
    let server = Server::start(|seen, number| {
        let host = &seen.headers["host"];
        let next = match number {
            0 => "</v2/a/b/tags/list?last=b,c%3D&n=1000>; rel=\"next\"".to_owned(),
            1 => format!("<http://{host}/v2/a/b/tags/list?page=3>; title=\"a, b; rel=x\"; REL=\"last next\""),
            2 => "</v2/a/b/tags/list?page=1>; rel=prev, <list?page=4>;rel=next".to_owned(),
            // A proxy that ends TLS in front of it does not tell it so, or the other way round.
            3 => format!("<https://{host}/v2/a/b/tags/list?page=5>; rel=next"),
            _ => "</v2/a/b/tags/list?page=1>; rel=first".to_owned(),
        };
        page(&[&format!("t{number}"), "t0"]).header("Link", &next)
    });
    assert_eq!(listed(&server).unwrap(), ["t0", "t1", "t2", "t3", "t4"]);
    assert_eq!(
        server.asked(),
        [
            "GET /v2/a/b/tags/list?n=1000",
            "GET /v2/a/b/tags/list?last=b,c%3D&n=1000",
            "GET /v2/a/b/tags/list?page=3",
            "GET /v2/a/b/tags/list?page=4",
            "GET /v2/a/b/tags/list?page=5",
        ]
    );
}

#[test]
fn a_repository_may_have_lost_all_its_tags() {
    let server = Server::start(|_, _| Reply::new(200, r#"{"name": "a/b", "tags": null}"#));
    assert_eq!(listed(&server).unwrap(), [""; 0]);
}

#[test]
fn what_no_reference_can_name_is_left_out() {
    let long = "x".repeat(129);
    let server = Server::start(move |_, _| page(&["1.0", "a b", "\u{1b}[2J", "", "-x", ".x", &long, "_ok", "A.b-c"]));
    assert_eq!(listed(&server).unwrap(), ["1.0", "A.b-c", "_ok"]);
}

#[test]
fn what_is_no_list_of_tags_is_refused() {
    for (body, expected) in [
        ("<html>", "it is a web page and no list of tags"),
        ("", "it is empty and no list of tags"),
        (r#"{"name": "a/b"}"#, "it is no list of tags (line 1, column 15)"),
        (r#"{"errors": []}"#, "it is no list of tags (line 1, column 14)"),
        (r#"{"tags": [1]}"#, "it is no list of tags (line 1, column 11)"),
        (r#"{"tags": {}}"#, "it is no list of tags (line 1, column 9)"),
    ] {
        let server = Server::start(move |_, _| Reply::new(200, body));
        assert_eq!(listed(&server).unwrap_err(), expected);
    }
}

#[test]
fn a_list_does_not_go_on_at_another_place() {
    let target = Server::start(|_, _| page(&["stolen"]));
    for link in [format!("http://{}/v2/a/b/tags/list", target.host), "//example.invalid/v2/".to_owned()] {
        let header = format!("<{link}>; rel=next");
        let server = Server::start(move |_, _| page(&["t"]).header("Link", &header));
        let expected = format!("its list of tags goes on at `{link}`, which is another place");
        assert_eq!(listed(&server).unwrap_err(), expected);
    }
    assert!(target.asked().is_empty());
}

#[test]
fn a_link_that_cant_be_read_is_no_end_of_the_list() {
    for link in ["somewhere", "<a", "<a>; rel=prev, b"] {
        let server = Server::start(move |_, _| page(&["t"]).header("Link", link));
        assert_eq!(listed(&server).unwrap_err(), format!("its Link header is `{link}`"));
    }
}

#[test]
fn a_list_without_end_is_given_up() {
    let server = Server::start(|_, number| {
        let next = format!("</v2/a/b/tags/list?page={}>; rel=next", (number + 1) % 3);
        page(&[&format!("t{number}")]).header("Link", &next)
    });
    assert_eq!(listed(&server).unwrap_err(), "its list of tags goes in circles");
    assert_eq!(server.asked().len(), 4);

    let server = Server::start(|_, number| {
        page(&["same"]).header("Link", &format!("</v2/a/b/tags/list?page={number}>; rel=next"))
    });
    assert_eq!(listed(&server).unwrap_err(), "10 pages of its list of tags brought nothing new");

    let server = Server::start(|_, number| {
        let tags: Vec<String> = (0..250_000).map(|tag| format!("{number}-{tag}")).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        page(&tags).header("Link", &format!("</v2/a/b/tags/list?page={number}>; rel=next"))
    });
    assert_eq!(listed(&server).unwrap_err(), "its list has more than 1000000 tags or 10000 pages");
    assert_eq!(server.asked().len(), 5);
}

#[test]
fn a_page_beyond_the_bound_is_refused() {
    let server = Server::start(|_, _| Reply::new(200, " ".repeat((32 << 20) + 1)));
    assert_eq!(listed(&server).unwrap_err(), "it is larger than 33554432 bytes");
}
