use serde_json::{Value, json};
use tokend_proto::{ApiLine, ApisPage, SecretText, Token};

use super::*;

fn shown(shape: Shape, response: Response) -> Value {
    match answer(shape, response, &Beside::default()) {
        Ok(Answer::Json(body)) => serde_json::from_slice(&body).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_has_the_keys_of_the_contract_and_names_no_daemon() {
    let token = Token {
        access_token: SecretText::new("T").unwrap(),
        token_type: "header:X-Key".into(),
        expires_at_ms: Some(1_700_000_000_000),
        remaining_ms: Some(5_999),
        scope: None,
        grant: 7,
    };
    let expected = json!({
        "access_token": "T", "token_type": "N_A", "expires_at": "2023-11-14T22:13:20Z", "expires_in": 5,
        "scope": null, "present": {"in": "header", "name": "X-Key", "prefix": ""},
    });
    assert_eq!(shown(Shape::Token, Response::Token(token)), expected);
}

#[test]
fn pages_name_what_follows() {
    let page = ApisPage {
        apis: vec![ApiLine {
            account: "ads".parse().unwrap(),
            urls: vec!["https://x.test/".to_owned()],
        }],
        next: Some("ads".parse().unwrap()),
    };
    let line = |refused_below_400: bool| json!({"account": "ads", "urls": ["https://x.test/"], "refused_below_400": refused_below_400});
    let expected = json!({"accounts": [line(false)], "next": "ads"});
    let response = || Response::Apis(page.clone());
    assert_eq!(shown(Shape::Accounts, response()), expected);
    let beside = Beside {
        refused_below_400: vec!["ads".parse().unwrap()],
        ..Beside::default()
    };
    let Ok(Answer::Json(body)) = answer(Shape::Accounts, response(), &beside) else {
        panic!("no page");
    };
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["accounts"], json!([line(true)]));
}

#[test]
fn a_report_without_the_right_to_the_token_is_done_and_a_fault_is_a_problem() {
    let done = Response::Done {
        message: "account ads has a new token".to_owned(),
    };
    assert!(matches!(
        answer(Shape::Token, done, &Beside::default()),
        Ok(Answer::Nothing)
    ));
    let fault = Response::Fault(Fault::new(FaultCode::Paced, "not now"));
    assert_eq!(
        answer(Shape::Token, fault, &Beside::default())
            .unwrap_err()
            .status(),
        429
    );
    let other = Response::Refusal { is_refusal: true };
    assert_eq!(
        answer(Shape::Token, other, &Beside::default())
            .unwrap_err()
            .status(),
        500
    );
    assert!(matches!(health(), Answer::Json(_)));
}
