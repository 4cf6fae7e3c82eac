//! The usual `process_*`, read from /proc at each scrape.

use procfs::WithCurrentSystemInfo as _;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

#[derive(Debug)]
struct Process;

pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

/// A number as a metric; `/proc` counts in u64, exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "exact far beyond any process's memory")]
const fn float(value: u64) -> f64 {
    value as f64
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let Ok(process) = procfs::process::Process::myself() else { return Ok(()) };
        let Ok(stat) = process.stat() else { return Ok(()) };
        let mut gauge = |name: &str, help: &str, value: f64| {
            let metric = ConstGauge::new(value);
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        gauge("process_resident_memory_bytes", "Resident memory", float(stat.rss_bytes().get()))?;
        gauge("process_virtual_memory_bytes", "Virtual memory", float(stat.vsize))?;
        gauge("process_threads", "Threads", float(stat.num_threads.unsigned_abs()))?;
        if let Ok(open) = process.fd_count() {
            gauge("process_open_fds", "Open file descriptors", float(open as u64))?;
        }
        if let Ok(limits) = process.limits()
            && let procfs::process::LimitValue::Value(max) = limits.max_open_files.soft_limit
        {
            gauge("process_max_fds", "Most open file descriptors", float(max))?;
        }
        let ticks = float(procfs::ticks_per_second());
        let boot = procfs::boot_time_secs().unwrap_or(0);
        let began = float(boot) + float(stat.starttime) / ticks;
        gauge("process_start_time_seconds", "Start, seconds since 1970", began)?;
        let cpu = ConstCounter::new(float(stat.utime + stat.stime) / ticks);
        cpu.encode(encoder.encode_descriptor(
            "process_cpu_seconds",
            "User and system CPU time",
            None,
            cpu.metric_type(),
        )?)
    }
}
