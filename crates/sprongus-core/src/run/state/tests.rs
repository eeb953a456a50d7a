use super::*;

/// The contract's table, written down a second time by hand: what may lead where.
const CONTRACT: &[(Verb, State, &[State])] = &[
    (Verb::Claim, State::Queued, &[State::Running]),
    (Verb::Succeed, State::Running, &[State::Succeeded]),
    (Verb::Fail, State::Running, &[State::Queued, State::Failed]),
    (Verb::Release, State::Running, &[State::Queued]),
    (Verb::Wait, State::Running, &[State::Queued]),
    (Verb::Reject, State::Queued, &[State::Failed]),
    (Verb::Cancel, State::Queued, &[State::Canceled]),
    (Verb::Cancel, State::Running, &[State::Canceled]),
    (Verb::Retry, State::Failed, &[State::Queued]),
    (Verb::Retry, State::Canceled, &[State::Queued]),
    (Verb::LoseLease, State::Running, &[State::Queued, State::Failed]),
    (Verb::Expire, State::Queued, &[State::Failed]),
];

#[test]
fn no_cell_leads_where_the_contract_does_not() {
    for verb in Verb::ALL {
        for state in State::ALL {
            let targets = match permit(state, verb) {
                Permit::To(targets) | Permit::Holding(targets) => targets,
                Permit::Closing | Permit::Already | Permit::Repeat(_) | Permit::Refused(_) => continue,
            };
            for &target in targets.iter().filter(|&&target| target != state) {
                let known =
                    CONTRACT.iter().any(|(v, s, to)| *v == verb && *s == state && to.contains(&target));
                assert!(known, "{verb:?} leads from {state} to {target}");
            }
        }
    }
}

#[test]
fn every_arrow_of_the_contract_is_in_the_table() {
    for (verb, state, targets) in CONTRACT {
        let cell = permit(*state, *verb);
        assert!(
            matches!(cell, Permit::To(to) | Permit::Holding(to) if to == *targets),
            "{verb:?} {state}: {cell:?}"
        );
    }
}

#[test]
fn nothing_leaves_succeeded() {
    for verb in Verb::ALL {
        assert!(
            matches!(permit(State::Succeeded, verb), Permit::Refused(_) | Permit::Repeat(_)),
            "{verb:?} is let through"
        );
    }
}

#[test]
fn a_refusal_names_both_states() {
    let error = refusal(ErrorCode::IllegalTransition, Verb::Cancel, State::Succeeded);
    assert_eq!(error.message(), "cannot cancel: the run is succeeded, not queued or running");
}
