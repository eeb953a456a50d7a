use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[test]
fn a_traceparent_is_known() {
    for good in ["01", "00"] {
        assert!(is_traceparent(&format!("00-{TRACE}-00f067aa0ba902b7-{good}")));
    }
    for bad in [
        String::new(),
        "00".to_owned(),
        format!("00-{TRACE}-00f067aa0ba902b7"),
        format!("00-{TRACE}-00f067aa0ba902b7-1"),
        format!("ff-{TRACE}-00f067aa0ba902b7-01"),
        format!("00-{TRACE}-0000000000000000-01"),
        format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-00f067aa0ba902b7-01-x"),
    ] {
        assert!(!is_traceparent(&bad), "{bad}");
    }
}

#[test]
fn a_span_that_nobody_looks_at_belongs_to_no_trace() {
    let span = tracing::info_span!("nothing");
    go_on_from(&span, Some(&format!("00-{TRACE}-00f067aa0ba902b7-01")));
    assert_eq!(traceparent(&span), None);
}

#[cfg(feature = "otel")]
#[test]
fn a_span_goes_on_from_another_and_tells_its_own_on() {
    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::prelude::*;

    let provider = opentelemetry_sdk::trace::SdkTracerProvider::default();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    for flags in ["01", "00"] {
        let span = tracing::info_span!("one");
        go_on_from(&span, Some(&format!("00-{TRACE}-00f067aa0ba902b7-{flags}")));
        let own = traceparent(&span).expect("a trace");
        assert!(own.starts_with(&format!("00-{TRACE}-")) && own.ends_with(&format!("-{flags}")), "{own}");
        assert!(!own.contains("00f067aa0ba902b7") && is_traceparent(&own), "{own}");
    }
    let alone = tracing::info_span!("two");
    go_on_from(&alone, Some("00-nonsense"));
    let own = traceparent(&alone).expect("a trace of its own");
    assert!(is_traceparent(&own) && !own.contains(TRACE), "{own}");
}
