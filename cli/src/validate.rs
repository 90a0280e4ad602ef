//! `ordermill validate`: every violation of every document, all at once.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ordermill_config::full_error;
use ordermill_crds::validate::{Folders, Report, Schemas, validate_files};

/// Options of `ordermill validate`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Files and folders with manifests; - is standard input.
    #[arg(short, long = "filename", required = true, num_args = 1.., value_name = "PATH")]
    filenames: Vec<PathBuf>,
    /// Also look into the folders of folders.
    #[arg(short = 'R', long)]
    recursive: bool,
    /// How the findings are written.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// A line for each finding, and a summary.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// Checks the manifests; exit code 1 where one breaks a rule.
pub(crate) fn run(options: &Options) -> ExitCode {
    let schemas = match Schemas::of_this_build() {
        Ok(schemas) => schemas,
        Err(error) => {
            eprintln!("error: {}", full_error(&error));
            return ExitCode::FAILURE;
        }
    };
    let folders = if options.recursive {
        Folders::Recursive
    } else {
        Folders::Flat
    };
    let report = validate_files(&options.filenames, folders, &schemas);
    let found = report.objects.len() + report.skipped.len() + report.violations.len();
    if found == 0 {
        let folder = options.filenames.iter().any(|path| path.is_dir());
        let hint = if folder && !options.recursive {
            "; -R looks into the folders of folders too"
        } else {
            ""
        };
        eprintln!("error: there is no manifest in what was given{hint}");
        return ExitCode::FAILURE;
    }
    match options.output {
        Output::Text => print_text(&report),
        Output::Json => match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                eprintln!("error: the report cannot be written: {error}");
                return ExitCode::FAILURE;
            }
        },
    }
    if report.violations.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_text(report: &Report) {
    for violation in &report.violations {
        eprintln!("{violation}");
    }
    for note in &report.notes {
        eprintln!("note: {note}");
    }
    let Report {
        objects,
        skipped,
        violations,
        ..
    } = report;
    let other = match skipped.len() {
        0 => String::new(),
        count => format!(", {count} of other groups skipped"),
    };
    if violations.is_empty() {
        println!("{} valid{other}", objects.len());
    } else {
        println!(
            "{} valid, {} violations{other}",
            objects.len(),
            violations.len()
        );
    }
}
