//! The evaluation of AWS IoT Device Defender Detect's behaviors, without Device Defender.
//!
//! Detect is closed to new AWS customers, and those who have it cannot try a security profile before they attach
//! it. So what it does is here as a pure function: datapoints of a thing, the behaviors of a profile and what is
//! remembered give alarms that begin, are cleared or are invalidated. There is no I/O and no clock; the same input
//! gives the same output.
//!
//! The way through the modules: [`Behaviors::parse`] (the service's JSON, valid once read) and [`Datapoint`] →
//! [`evaluate()`] with a [`ThingState`] → [`Results`]: events for people, measurements for [`Fleet::learn`], which
//! gives the next evaluation its percentiles and models. What AWS says of its models and where these differ is in
//! docs/decisions.md.

mod behavior;
mod criteria;
mod datapoint;
mod error;
mod evaluate;
mod event;
mod fleet;
mod metric;
mod model;
mod operator;
mod set;
#[cfg(feature = "simulation")]
pub mod simulation;
mod sketch;
mod state;
mod statistical;
mod training;
mod value;
mod wire;

pub use behavior::{Behavior, Behaviors, DURATIONS, MOST_BEHAVIORS, MOST_VALUE_ELEMENTS};
pub use criteria::{Confidence, Criteria, ElementSet, Expectation, Statistic};
pub use datapoint::{Datapoint, MOST_SHOWN};
pub use error::Invalid;
pub use evaluate::{AHEAD, BEHIND, MOST_PENDING, SILENCE, evaluate, retire};
pub use event::{Band, Event, EventType, Measurement, Results, Unused, violation_id};
pub use fleet::Fleet;
pub use metric::{
    BuiltIn, CustomMetricType, Dimension, DimensionOperator, DurationRule, Kind, Metric, Stream,
};
pub use operator::{Comparison, ComparisonOperator, Membership, Operator};
pub use set::{AddressSet, Finite, Set, network};
pub use sketch::{RELATIVE_ERROR, Sketch};
pub use state::{Alarm, ThingState};
pub use statistical::FEWEST_DEVICES;
pub use training::{FEWEST_DATAPOINTS, ModelStatus, RETENTION_DAYS, Summary, TRAINING_DAYS};
pub use value::{Measured, MetricValue, Quantity};
