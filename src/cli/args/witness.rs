//! Arguments of `privet witness`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet witness init w1 --name witness.example/w1   make a witness; prints its public key\n  cat audit.pub >> w1/logs                           let it watch a log\n  privet witness serve w1                            run it"
)]
pub(in crate::cli) enum WitnessCommand {
    /// Makes the folder of a new witness, with a key of its own, and prints its public key.
    Init {
        /// The folder; made when it is missing.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Its name in its signatures, for ever the same, such as witness.example/w1.
        #[arg(long, value_name = "NAME")]
        name: String,
    },
    /// Co-signs the checkpoints of the logs whose public keys are in DIR/logs.
    Serve {
        /// The folder that `privet witness init` made.
        #[arg(value_name = "DIR")]
        dir: PathBuf,
        /// Where to listen; beyond this machine only with a certificate.
        #[arg(long, default_value = "127.0.0.1:7490", value_name = "ADDRESS")]
        listen: SocketAddr,
        /// The certificate chain, in PEM.
        #[arg(long, value_name = "FILE", requires = "tls_key")]
        tls_cert: Option<PathBuf>,
        /// Its private key, in PEM; only its owner may read the file.
        #[arg(long, value_name = "FILE", requires = "tls_cert")]
        tls_key: Option<PathBuf>,
    },
}
