//! Puts a run back where it stood at a gate: its work directory, what its steps printed, what its attempt had used up.
//!
//! Behind a passed gate the attempt goes on with the step after it; a run that was called off while it waited is put back
//! for its CLEANUP alone.

pub(crate) mod carried;

use std::time::Duration;

use sprongus_core::error::{Error, ErrorCode};
use sprongus_core::run::step::{Step, StepStatus, StepType};
use sprongus_core::run::{Gate, Resume};
use sprongus_core::values::ids::StepId;
use tokio::time::sleep;

use crate::declaration::{GateDeclaration, KindDeclaration, StepAction, StepDeclaration};
use crate::execution::Work;
use crate::execution::recorder::{Recorder, repeated};
use crate::execution::waiting::Approval;
use crate::steps::attempt::Attempt;
use crate::steps::outcome::report;
use crate::steps::restore::carried::Carried;
use crate::workdir::unpack::{UnpackFault, unpack};
use crate::workdir::{NoRoom, Workdir};

/// The pause before the bytes of a work directory are asked for again.
const PAUSE: Duration = Duration::from_millis(250);

/// How often they are asked for: bytes that break off each time are damaged where they lie.
const TRIES: u32 = 10;

/// Why a run cannot be put back.
pub(crate) struct NotRestored {
    pub(crate) error: String,
    pub(crate) retryable: bool,
    /// This machine has no room for it; another one, or this one later, may.
    pub(crate) no_room: Option<NoRoom>,
}

fn for_good(error: impl Into<String>) -> NotRestored {
    NotRestored { error: error.into(), retryable: false, no_room: None }
}

fn for_now(error: String) -> NotRestored {
    NotRestored { error, retryable: true, no_room: None }
}

/// The gate of the declaration at which the run stood.
///
/// # Errors
/// When the declaration has another step there by now: what lies behind the gate is then not what was asked about.
pub(crate) fn gate_of<'k>(
    kind: &'k KindDeclaration,
    resume: &Resume,
) -> Result<&'k StepDeclaration, NotRestored> {
    let Some(recorded) = resume.steps.iter().find(|step| step.id == resume.gate.step_id) else {
        return Err(for_good("the approved gate is not among the run's steps"));
    };
    let declared = kind.steps.iter().find(|step| step.ordinal == recorded.ordinal);
    let is_gate = |step: &&StepDeclaration| {
        matches!(step.action, StepAction::Gate(GateDeclaration::Approval { .. }))
            && step.name == recorded.name
    };
    declared.filter(is_gate).ok_or_else(|| {
        for_good(format!(
            "this kind was changed in sprongus.toml while the run waited: step {} is no longer the approval {:?}; enqueue the run again",
            recorded.ordinal, recorded.name
        ))
    })
}

/// What an attempt goes on with behind a gate.
pub(crate) struct Restored<'k> {
    pub(crate) folders: Workdir,
    pub(crate) gate: &'k StepDeclaration,
    /// The gate's output, now that it is passed.
    pub(crate) passed: String,
    pub(crate) carried: Carried,
}

/// Puts a run back behind its gate: nothing up to it is done again.
pub(crate) async fn behind<'k>(
    kind: &'k KindDeclaration,
    attempt: &Attempt,
    folders: Workdir,
    work: &Work,
    resume: &Resume,
    recorder: &Recorder,
) -> Result<Restored<'k>, NotRestored> {
    let gate = gate_of(kind, resume)?;
    let (folders, carried) = place_back(folders, attempt, work).await?;
    let carried =
        carried.ok_or_else(|| for_now("the work directory kept at the gate no longer exists".to_owned()))?;
    drop_kept(work).await;
    let passed = passed(&resume.gate);
    recorder.step(report(gate, StepStatus::Completed, Some(attempt.masks().known(&passed)))).await;
    Ok(Restored { folders, gate, passed, carried })
}

fn passed(gate: &Gate) -> String {
    Approval::of(gate).output()
}

/// The steps of the attempt that was called off while it waited at a gate; none where it was not. A claim of a CLEANUP does not say, but
/// the gate's step does: it failed with the run, under the claim before.
pub(crate) async fn called_off_at_gate(kind: &KindDeclaration, work: &Work) -> Option<Vec<Step>> {
    if !work.active.cleanup {
        return None;
    }
    let mut steps = repeated(&work.active, || work.tools.runs.steps(work.run.id)).await.unwrap_or_default();
    steps.retain(|step| step.attempt == work.run.attempt);
    let before = work.active.hold.epoch.saturating_sub(1);
    let is_command = |gate: &Step| {
        kind.steps.iter().any(|step| {
            step.name == gate.name && matches!(step.action, StepAction::Gate(GateDeclaration::Command(_)))
        })
    };
    let is_gate = |step: &Step| {
        step.kind == StepType::Gate
            && step.status == StepStatus::Failed
            && step.id == StepId::of(work.run.id, before, step.ordinal)
            && !is_command(step)
    };
    steps.iter().any(is_gate).then_some(steps)
}

/// Puts a run that was called off at its gate back for its CLEANUP, as far as that is possible.
pub(crate) async fn for_cleanup(
    attempt: &Attempt,
    folders: Workdir,
    work: &Work,
    recorder: &Recorder,
) -> Result<Workdir, NotRestored> {
    match place_back(folders, attempt, work).await {
        Ok((folders, _)) => Ok(folders),
        Err(NotRestored { error, .. }) => {
            recorder.say(None, format!("CLEANUP runs in an empty work directory: {error}")).await;
            make(attempt, work).await
        }
    }
}

/// Lets go of what was kept. That it is kept longer than needed is no reason to fail anything.
pub(crate) async fn drop_kept(work: &Work) {
    if let Err(error) = repeated(&work.active, || work.tools.runs.drop_workdir(&work.active.hold)).await {
        tracing::warn!(run = %work.run.id, code = %error.code(), "cannot delete a kept work directory");
    }
}

/// Unpacks what was kept, if anything was, however often its bytes have to be asked for.
async fn place_back(
    mut folders: Workdir,
    attempt: &Attempt,
    work: &Work,
) -> Result<(Workdir, Option<Carried>), NotRestored> {
    let (active, runs) = (&work.active, &work.tools.runs);
    let mut tries = 0;
    loop {
        tries += 1;
        let kept =
            repeated(active, || runs.workdir(&active.hold)).await.map_err(|error| unreachable(&error))?;
        let Some(body) = kept else { return Ok((folders, None)) };
        let unpacked = tokio::select! {
            unpacked = unpack(body, folders.work()) => unpacked,
            () = active.until_lost() => return Err(unreachable(&Error::new(ErrorCode::LeaseLost, "the lease expired"))),
        };
        match unpacked {
            Ok(state) => {
                let unread =
                    |_| for_good(UnpackFault::Foreign("cannot read its state".to_owned()).to_string());
                return Ok((folders, Some(serde_json::from_slice(&state).map_err(unread)?)));
            }
            Err(fault @ UnpackFault::Interrupted(_)) if tries == TRIES => {
                return Err(for_now(fault.to_string()));
            }
            Err(fault @ UnpackFault::Interrupted(_)) => {
                tracing::warn!(run = %work.run.id, %fault, "it is requested again");
                folders.remove().await;
                folders = make(attempt, work).await?;
                sleep(PAUSE).await;
            }
            Err(fault @ UnpackFault::Foreign(_)) => return Err(for_good(fault.to_string())),
            Err(UnpackFault::Local(error)) => {
                folders.remove().await;
                let why = NoRoom::of(&error);
                return Err(NotRestored { error: why.to_string(), retryable: true, no_room: Some(why) });
            }
        }
    }
}

fn unreachable(error: &Error) -> NotRestored {
    let error = format!("cannot read the kept work directory: {}", error.message());
    for_now(error)
}

async fn make(attempt: &Attempt, work: &Work) -> Result<Workdir, NotRestored> {
    let made = Workdir::make(&work.tools.scratch, &work.active.hold, attempt.input_text()).await;
    made.map_err(|error| {
        let why = NoRoom::of(&error);
        NotRestored { error: why.to_string(), retryable: true, no_room: Some(why) }
    })
}
