//! The operator's program.

use std::process::ExitCode;

use clap::Parser as _;
use ordermill_config::full_error;
use ordermill_operator::arguments::Arguments;
use ordermill_operator::operator;
use ordermill_operator::telemetry::Telemetry;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A part that panicked would leave an operator that looks alive and does nothing.
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        default_hook(panic);
        std::process::abort();
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    // The exporter needs the runtime that it is made in.
    let telemetry = {
        let _inside = runtime.enter();
        match Telemetry::start() {
            Ok(telemetry) => telemetry,
            Err(error) => return fail(&error),
        }
    };
    let result = runtime.block_on(operator::run(arguments));
    telemetry.shut_down();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("error: {}", full_error(error));
    ExitCode::FAILURE
}
