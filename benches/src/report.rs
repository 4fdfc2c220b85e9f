//! The report: tables in Markdown, ratios first.

use crate::load::{Outcome, count};

/// One turn of a case.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    /// What the load gave.
    pub(crate) outcome: Outcome,
    /// Processor time of the server's process for each request, in microseconds.
    pub(crate) processor_us: f64,
}

/// All turns of a case.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// How it is called in the table.
    pub(crate) name: &'static str,
    /// Connections.
    pub(crate) connections: usize,
    /// Its turns, round by round.
    pub(crate) turns: Vec<Turn>,
}

impl Measured {
    /// The middle rate of its rounds.
    pub(crate) fn rate(&self) -> f64 {
        self.median(|turn| turn.outcome.rate())
    }

    fn median(&self, of: impl Fn(&Turn) -> f64) -> f64 {
        median(self.turns.iter().map(of).collect())
    }

    /// The middle of the ratios to another case, round by round; for bounds as well: lowest, highest.
    fn ratios_to(&self, other: &Self) -> [f64; 3] {
        let mut ratios: Vec<f64> = self
            .turns
            .iter()
            .zip(&other.turns)
            .map(|(own, others)| own.outcome.rate() / others.outcome.rate())
            .collect();
        ratios.sort_by(f64::total_cmp);
        let lowest = ratios.first().copied().unwrap_or(0.0);
        let highest = ratios.last().copied().unwrap_or(0.0);
        [median(ratios), lowest, highest]
    }
}

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    let upper = of.get(of.len() / 2).copied().unwrap_or(0.0);
    let lower = of.get(of.len().saturating_sub(1) / 2).copied().unwrap_or(0.0);
    f64::midpoint(lower, upper)
}

/// The head of the table whose lines [`beside`] gives.
pub(crate) const BESIDE: &str = "| case | store | ratio | requests/s | p50 ms | p99 ms | longest ms | processor µs |\n\
     |---|---|---|---|---|---|---|---|";

/// A line: one of two arrangements, with its ratio to the other, round by round.
pub(crate) fn beside(name: &str, arrangement: &str, turns: &[Turn], other: &[Turn]) -> String {
    let pairs = turns.iter().zip(other);
    let ratio =
        median(pairs.map(|(own, other)| own.outcome.rate() / other.outcome.rate()).collect());
    let middle = |of: &dyn Fn(&Turn) -> f64| median(turns.iter().map(of).collect());
    let [p50, p99, longest] =
        [500, 990, 1_000].map(|permille| middle(&|turn| turn.outcome.quantile_ms(permille)));
    format!(
        "| {name} | {arrangement} | {ratio:.2} | {:.0} | {p50:.2} | {p99:.2} | {longest:.1} | {:.1} |",
        middle(&|turn| turn.outcome.rate()),
        middle(&|turn| turn.processor_us)
    )
}

/// The table of requests in a closed loop. `echo` gives the case that others are compared with.
pub(crate) fn requests(measured: &[Measured], echo: &str) -> String {
    let mut lines = vec![
        "| case | connections | ratio to the echo (lowest–highest) | requests/s | p50 ms | p99 ms | server CPU µs/request |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for case in measured {
        let base = measured
            .iter()
            .find(|other| other.name == echo && other.connections == case.connections);
        let ratio = base.map_or_else(String::new, |base| {
            let [middle, lowest, highest] = case.ratios_to(base);
            format!("{middle:.3} ({lowest:.3}–{highest:.3})")
        });
        lines.push(format!(
            "| {} | {} | {ratio} | {:.0} | {:.2} | {:.2} | {:.1} |",
            case.name,
            case.connections,
            case.rate(),
            case.median(|turn| turn.outcome.quantile_ms(500)),
            case.median(|turn| turn.outcome.quantile_ms(990)),
            case.median(|turn| turn.processor_us),
        ));
    }
    lines.join("\n")
}

/// The table of requests at set times.
pub(crate) fn half_load(measured: &[Measured], aims_ms: &[(&str, f64)]) -> String {
    let mut lines = vec![
        "| case | connections | requests/s | p50 ms | p99 ms | p99.9 ms | aim for p99 |".to_owned(),
        "|---|---|---|---|---|---|---|".to_owned(),
    ];
    for case in measured {
        let p99 = case.median(|turn| turn.outcome.quantile_ms(990));
        let aim = aims_ms
            .iter()
            .find(|(name, _)| *name == case.name)
            .map_or_else(String::new, |(_, aim)| {
                format!("≤ {aim} ms: {}", if p99 <= *aim { "met" } else { "missed" })
            });
        lines.push(format!(
            "| {} | {} | {:.0} | {:.2} | {p99:.2} | {:.2} | {aim} |",
            case.name,
            case.connections,
            case.rate(),
            case.median(|turn| turn.outcome.quantile_ms(500)),
            case.median(|turn| turn.outcome.quantile_ms(999)),
        ));
    }
    lines.join("\n")
}

/// The head of the table of turns that follow each other.
pub(crate) const LASTING_HEAD: &str = "\
| case | connections | ratio to the echo | requests/s: first turn … last | p99 ms: first turn … last | resident MiB: before … after |
|---|---|---|---|---|---|";

/// A line of that table: what each turn gave, against one turn of the echo.
pub(crate) fn lasting(case: &Measured, echo: &Turn, resident: [usize; 2]) -> String {
    let all =
        |of: &dyn Fn(&Turn) -> String| case.turns.iter().map(of).collect::<Vec<_>>().join(", ");
    let [before, after] = resident.map(|bytes| count(bytes) / 1_048_576.0);
    format!(
        "| {} | {} | {:.3} | {} | {} | {before:.0} … {after:.0} |",
        case.name,
        case.connections,
        case.rate() / echo.outcome.rate(),
        all(&|turn| format!("{:.0}", turn.outcome.rate())),
        all(&|turn| format!("{:.1}", turn.outcome.quantile_ms(990))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let check = |of: &[f64], expected: f64| {
            assert!((median(of.to_vec()) - expected).abs() < 1e-9, "{of:?}");
        };
        check(&[3.0, 1.0, 2.0], 2.0);
        check(&[4.0, 1.0, 2.0, 3.0], 2.5);
        check(&[7.0], 7.0);
        check(&[], 0.0);
    }
}
