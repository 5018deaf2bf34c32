//! The table: which role, and which service, may call which method.
//!
//! `docs/identity.md` shows it; a test compares both, and another one asks for a row of every
//! method that is served.

use super::Access::{Admin, Approver, Operator, Viewer, Worker};
use super::Noun::{Comms, Flag, Gate, Rollout};
use super::{Access, Noun, Rule, Who};

/// Whoever looks.
const READ: &[Access] = &[Viewer, Operator, Approver, Admin];
/// Whoever looks, and workers: what a worker needs to know is no secret to others.
const ASK: &[Access] = &[Worker, Viewer, Operator, Approver, Admin];
/// What only workers do: it counts against quotas, and as evidence.
const WORK: &[Access] = &[Worker];
/// What lowers exposure takes one person and waits for nobody (D7 §5).
const STOP: &[Access] = &[Operator, Approver, Admin];
/// Conducting.
const OPERATE: &[Access] = &[Operator];
/// Deciding. That it takes two people, or a role in the plan, is decided by the services.
const APPROVE: &[Access] = &[Approver];
/// Conducting and deciding.
const ACT: &[Access] = &[Operator, Approver];
/// No person: services among themselves.
const NONE: &[Access] = &[];

const fn rule(path: &'static str, roles: &'static [Access], services: &'static [Noun]) -> Rule {
    Rule { path, who: Who::Only(roles, services) }
}

const fn open(path: &'static str) -> Rule {
    Rule { path, who: Who::Everybody }
}

/// A row for every method.
pub const POLICY: &[Rule] = &[
    // Flags.
    rule("/softlaunch.flag.v1.FlagService/GetFlag", READ, &[Rollout]),
    rule("/softlaunch.flag.v1.FlagService/ListFlags", READ, &[]),
    rule("/softlaunch.flag.v1.FlagService/CreateFlag", OPERATE, &[]),
    rule("/softlaunch.flag.v1.FlagService/UpdateFlag", OPERATE, &[]),
    rule("/softlaunch.flag.v1.FlagService/DeleteFlag", OPERATE, &[]),
    rule("/softlaunch.flag.v1.FlagService/UndeleteFlag", OPERATE, &[]),
    rule("/softlaunch.flag.v1.FlagService/ApplyRolloutStep", NONE, &[Rollout]),
    rule("/softlaunch.flag.v1.FlagHistoryService/ListFlagRevisions", READ, &[Comms]),
    rule("/softlaunch.flag.v1.FlagHistoryService/DiffFlag", READ, &[]),
    rule("/softlaunch.flag.v1.FlagHistoryService/RestoreFlag", OPERATE, &[]),
    rule("/softlaunch.flag.v1.FlagHistoryService/ImportFlags", OPERATE, &[]),
    rule("/softlaunch.flag.v1.FlagHistoryService/ExportFlags", READ, &[]),
    rule("/softlaunch.flag.v1.BlastRadiusService/ComputeBlastRadius", ACT, &[Rollout]),
    rule("/softlaunch.flag.v1.BlastRadiusService/GetBlastRadius", READ, &[Rollout]),
    rule("/softlaunch.flag.v1.BlastRadiusService/ComputeStratification", READ, &[]),
    rule("/softlaunch.flag.v1.EvaluationService/EvaluateFlag", ASK, &[Comms]),
    rule("/softlaunch.flag.v1.EvaluationService/BatchEvaluateFlags", ASK, &[]),
    rule("/softlaunch.flag.v1.EvaluationService/WatchRuleset", ASK, &[Comms]),
    rule("/softlaunch.flag.v1.AdmissionService/AdmitUpload", WORK, &[]),
    rule("/softlaunch.flag.v1.AdmissionService/ReleaseUpload", WORK, &[]),
    rule("/flagd.evaluation.v1.Service/ResolveAll", ASK, &[]),
    rule("/flagd.evaluation.v1.Service/ResolveBoolean", ASK, &[]),
    rule("/flagd.evaluation.v1.Service/ResolveString", ASK, &[]),
    rule("/flagd.evaluation.v1.Service/ResolveFloat", ASK, &[]),
    rule("/flagd.evaluation.v1.Service/ResolveInt", ASK, &[]),
    rule("/flagd.evaluation.v1.Service/ResolveObject", ASK, &[]),
    rule("/flagd.evaluation.v1.Service/EventStream", ASK, &[]),
    rule("/flagd.evaluation.v2.Service/ResolveBoolean", ASK, &[]),
    rule("/flagd.evaluation.v2.Service/ResolveString", ASK, &[]),
    rule("/flagd.evaluation.v2.Service/ResolveFloat", ASK, &[]),
    rule("/flagd.evaluation.v2.Service/ResolveInt", ASK, &[]),
    rule("/flagd.evaluation.v2.Service/ResolveObject", ASK, &[]),
    rule("/flagd.evaluation.v2.Service/EventStream", ASK, &[]),
    rule("/flagd.sync.v1.FlagSyncService/SyncFlags", ASK, &[]),
    rule("/flagd.sync.v1.FlagSyncService/FetchAllFlags", ASK, &[]),
    rule("/flagd.sync.v1.FlagSyncService/GetMetadata", ASK, &[]),
    rule("/ofrep/v1/evaluate/flags", ASK, &[]),
    rule("/ofrep/v1/evaluate/flags/{key}", ASK, &[]),
    // Gates. Whoever looks may have a gate judged; the service itself refuses a viewer to keep the
    // report.
    rule("/softlaunch.gate.v1.GateService/ApplyGatePlan", NONE, &[Rollout]),
    rule("/softlaunch.gate.v1.GateService/GetGatePlan", READ, &[]),
    rule("/softlaunch.gate.v1.GateService/EvaluateGate", READ, &[Rollout]),
    rule("/softlaunch.gate.v1.GateService/GetGateReport", READ, &[Rollout]),
    rule("/softlaunch.gate.v1.GateService/ListGateReports", READ, &[Rollout]),
    rule("/softlaunch.gate.v1.GateService/ListMetrics", READ, &[Comms, Rollout]),
    rule("/softlaunch.gate.v1.GateService/AttestCriterion", ACT, &[]),
    rule("/softlaunch.gate.v1.GateService/WithdrawAttestation", ACT, &[]),
    rule("/softlaunch.gate.v1.GateService/ListTriggers", READ, &[Rollout]),
    rule("/softlaunch.gate.v1.GateService/WatchTriggers", READ, &[Rollout]),
    rule("/softlaunch.gate.v1.GateService/GetGaRecord", READ, &[]),
    rule("/softlaunch.gate.v1.SignalService/ReportOutcomes", WORK, &[]),
    rule("/softlaunch.gate.v1.SignalService/StreamOutcomes", WORK, &[]),
    rule("/softlaunch.gate.v1.SignalService/ReportSignals", &[Worker, Operator], &[]),
    // Kill switches. A watcher counts as a worker that must stop: people look at the events instead.
    rule("/softlaunch.killswitch.v1.KillSwitchService/EngageKillSwitch", STOP, &[Rollout]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/ReleaseKillSwitch", ACT, &[]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/GetKillSwitch", ASK, &[]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/ListKillSwitches", ASK, &[Rollout]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/GetPropagation", READ, &[]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/ApplyKillSwitchRules", NONE, &[Rollout]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/RunDrill", OPERATE, &[]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/WatchKillSwitches", WORK, &[Flag, Comms]),
    rule("/softlaunch.killswitch.v1.KillSwitchService/WatchKillSwitchEvents", READ, &[Gate, Comms]),
    // Communications.
    rule("/softlaunch.comms.v1.CommsService/GetMessage", READ, &[]),
    rule("/softlaunch.comms.v1.CommsService/ListMessages", READ, &[]),
    rule("/softlaunch.comms.v1.CommsService/RedriveMessage", OPERATE, &[]),
    rule("/softlaunch.comms.v1.CommsService/WatchMessages", READ, &[]),
    rule("/softlaunch.comms.v1.CommsService/ListCommunications", READ, &[]),
    rule("/softlaunch.comms.v1.CommsService/WatchCommunications", READ, &[Gate]),
    rule("/softlaunch.comms.v1.CommsService/RedriveMessages", OPERATE, &[]),
    rule("/softlaunch.comms.v1.CommsService/SendCommunication", OPERATE, &[]),
    rule("/softlaunch.comms.v1.CommsService/AcknowledgeReminder", ACT, &[]),
    rule("/softlaunch.comms.v1.CommsService/PreviewMessage", READ, &[]),
    rule("/softlaunch.comms.v1.CommsService/TestChannel", &[Operator, Admin], &[]),
    rule("/softlaunch.comms.v1.BannerService/ListBanners", ASK, &[]),
    rule("/softlaunch.comms.v1.BannerService/WatchBanners", ASK, &[]),
    // Rollouts.
    rule("/softlaunch.rollout.v1.RolloutService/CreatePlanVersion", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ApprovePlanVersion", APPROVE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/GetPlanVersion", READ, &[Comms]),
    rule("/softlaunch.rollout.v1.RolloutService/CreateRollout", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/GetRollout", READ, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ListRollouts", READ, &[Comms]),
    rule("/softlaunch.rollout.v1.RolloutService/StartRollout", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ApproveGate", APPROVE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/AdvanceRollout", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/RampRollout", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/PauseRollout", STOP, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ResumeRollout", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/RollBackRollout", STOP, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/CompleteRollbackStep", ACT, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/NoteTimeline", ACT, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ListTimeline", READ, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ListRecords", READ, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/Advise", READ, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ChangeRolloutPlan", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/AnnounceGa", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/DeclareGa", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/CompletePostGaTask", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/ArchiveRollout", OPERATE, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/WatchRollout", READ, &[]),
    rule("/softlaunch.rollout.v1.RolloutService/WatchRolloutEvents", READ, &[Comms]),
    // What every service has. Health tells how it is, not what it keeps.
    open("/grpc.health.v1.Health/Check"),
    open("/grpc.health.v1.Health/Watch"),
    rule("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", READ, &[]),
    rule("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", READ, &[]),
];
