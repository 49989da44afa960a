//! How strong walls have to be.

use clap::{Args, ValueEnum};
use model::rung::{Rung, Trust};

/// Rungs that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum RungChoice {
    /// Namespaces, system call list, limits; the kernel is shared
    Container,
    /// A kernel in user space (gVisor)
    Gvisor,
    /// A kernel of its own in a virtual machine
    Microvm,
}

impl RungChoice {
    /// As the rest of the program has it.
    pub fn rung(self) -> Rung {
        match self {
            RungChoice::Container => Rung::Container,
            RungChoice::Gvisor => Rung::Gvisor,
            RungChoice::Microvm => Rung::Microvm,
        }
    }
}

/// Whose code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TrustChoice {
    /// Of a protected branch, or your own
    Protected,
    /// Of somebody with write access
    Member,
    /// Of everybody else, such as a pull request from a fork: a kernel of its own
    Stranger,
}

/// The lowest rung that is allowed.
#[derive(Clone, Copy, Debug, Args)]
pub struct WallArgs {
    /// How strong the walls of jobs are, at least; what needs more gets more
    #[arg(long, value_enum, default_value_t = RungChoice::Container, value_name = "RUNG")]
    pub rung: RungChoice,
    /// Whose code it is; it may ask for a stronger rung than --rung
    #[arg(long, value_enum, default_value_t = TrustChoice::Protected, value_name = "TRUST")]
    pub trust: TrustChoice,
}

impl WallArgs {
    /// Whose code it is.
    pub fn trust(self) -> Trust {
        match self.trust {
            TrustChoice::Protected => Trust::Protected,
            TrustChoice::Member => Trust::Member,
            TrustChoice::Stranger => Trust::Stranger,
        }
    }

    /// The lowest rung that is allowed, and who says so.
    pub fn minimum(self) -> (Rung, String) {
        let (rung, trust) = (self.rung.rung(), self.trust());
        match trust.minimum() > rung {
            true => (trust.minimum(), format!("`--trust {}`", trust.name())),
            false => (rung, format!("`--rung {}`", rung.name())),
        }
    }
}
