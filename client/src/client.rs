//! The client: everything that it can do, each in a module of its own.

mod builder;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use protocol::id::{HardwareId, SessionId};
use protocol::key::LicenseKey;

use crate::cloud::Effort;
use crate::core::Core;
use crate::sync::{keys, tenant_key};
use crate::update::Updater;
use crate::{
    Address, Allowance, BrowserSignIn, Context, DeviceSignIn, Discovered, Error, HeldSeat, KeyName, KeyStatus,
    KeyTaken, KeychainFault, Profile, Seat, SignedIn, SignedOut, Sso, Status, Verdict, license_key, seat, seat_token,
    sign_in, status, telemetry_sender, validation,
};

pub use builder::LicenseClientBuilder;

/// Asks the cloud on behalf of one machine, and stores the answers.
///
/// Cheap to clone; all clones share one memory. It blocks, and needs no async runtime.
///
/// ```
/// use coditect::{LicenseClient, Verdict};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// let client = LicenseClient::builder()
///     .home(&home) // in place of ~/.coditect
///     .on_notice(|notice| eprintln!("{notice}"))
///     .build()?;
/// match client.validate()? {
///     Verdict::Valid(license) => println!("{} until asked again", license.tier),
///     Verdict::Invalid(no) => println!("{}", no.message),
///     Verdict::Lapsed { outage } => println!("{outage} The free tier applies."),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LicenseClient {
    core: Arc<Core>,
}

impl LicenseClient {
    /// Returns a builder. Its defaults come from the environment and the home folder.
    pub fn builder() -> LicenseClientBuilder {
        LicenseClientBuilder::default()
    }

    /// Returns this machine's id.
    pub fn hardware_id(&self) -> &HardwareId {
        &self.core.machine
    }

    /// Returns the folder in which everything is stored.
    pub fn home(&self) -> &Path {
        self.core.home.path()
    }

    /// Returns the profile that the home folder belongs to.
    pub fn profile(&self) -> Profile {
        Profile::of(self.home())
    }

    /// Returns the address of the cloud.
    pub fn cloud_url(&self) -> &Address {
        self.core.discovery.cloud_url()
    }

    /// Asks the cloud for the addresses of its functions and for its issuer, and stores the answer.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when no server answers, or one that is not a cloud; [`Error::Address`] when a function is at an
    /// address that secrets must not be sent to.
    pub fn discover(&self) -> Result<Discovered, Error> {
        self.core.discovery.refresh().map(|discovery| Discovered::from(&*discovery))
    }

    /// Returns the page where a person without an account chooses a plan, as the cloud names it; none where keys come from an
    /// admin.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the cloud cannot be reached, and never could.
    pub fn register_url(&self) -> Result<Option<String>, Error> {
        Ok(self.core.discovery.current(Effort::Few)?.register_url())
    }

    /// Returns the license key, if one has been activated here.
    pub fn license_key(&self) -> Result<Option<LicenseKey>, Error> {
        license_key::stored(&self.core)
    }

    /// Returns the license key of the environment (`CODITECT_LICENSE_KEY`). Seats are taken with it, regardless of a sign-in
    /// or an activated key, and nothing of it is stored.
    ///
    /// # Errors
    /// [`Error::KeyVariable`] when the variable is set, and no license key is in it.
    pub fn given_key(&self) -> Result<Option<&LicenseKey>, Error> {
        license_key::given(&self.core)
    }

    /// Asks whether this machine may run, and with what.
    ///
    /// An answer of the last 24 hours is used without a call. While the cloud cannot be reached, the last answer serves
    /// for 7 days from when it was made. Without a license key the signed-in user's seat decides: it is taken for the
    /// answer and given back, unless its last token is still good; without a sign-in, the free tier applies. With a key
    /// of the environment (`CODITECT_LICENSE_KEY`) a seat is taken and given back each time, so the machine needs no
    /// place of its own on the license; there is no grace, and no free tier.
    ///
    /// # Errors
    /// When the question could not be answered for another reason than an unavailable cloud: files that others can read,
    /// an answer that is not signed by the cloud, a request that it refused.
    pub fn validate(&self) -> Result<Verdict, Error> {
        validation::validate(&self.core)
    }

    /// Asks whether a key is valid on this machine, and if it is, stores it and the answer.
    ///
    /// ```
    /// use coditect::{Error, LicenseClient, LicenseKey};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// // No server listens there.
    /// let client = LicenseClient::builder().home(&home).cloud_url("http://127.0.0.1:1".parse()?).build()?;
    /// let key = LicenseKey::parse("CODITECT-PRO-A7F3E9D2C4B1-D3W4")?; // a typing error ends here
    ///
    /// let Err(error) = client.activate(&key) else { unreachable!("an activation has no grace") };
    /// assert_eq!(error.code(), "cloud_unavailable");
    /// println!("{error}\n{}", error.hint());
    /// if let Error::Unavailable(outage) = &error {
    ///     println!("again in {} seconds", outage.retry_after.unwrap_or(60));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and when the cloud cannot be reached: an activation has no grace.
    pub fn activate(&self, key: &LicenseKey) -> Result<Verdict, Error> {
        validation::activate(&self.core, key)
    }

    /// Gives this machine's place on the license back, so that another one can be activated, and deletes the license key and
    /// all answers about it. Returns the time from which on another machine can be activated; none: now.
    ///
    /// # Errors
    /// [`Error::NoKey`] where none is stored; [`Error::Unavailable`] when the cloud cannot be reached: then everything stays, for
    /// the place could not be given back any more.
    pub fn deactivate(&self) -> Result<Option<Timestamp>, Error> {
        validation::deactivate(&self.core)
    }

    /// Counts a command, or refuses it if today's limit is reached. Without a limit nothing is counted, and the result is
    /// `None`.
    ///
    /// The limit is that of the license as of the last [`validate`](Self::validate), or the free tier's without a usable
    /// license. A day lasts from midnight to midnight on this machine, in the time zone in which it began: neither travel
    /// to another time zone nor a clock set back gives a second day with the same date.
    ///
    /// ```
    /// use coditect::{Error, FREE_COMMANDS_PER_DAY, LicenseClient};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let home = folder.path().join("home");
    /// let client = LicenseClient::builder().home(&home).build()?;
    /// let counted = client.count_command()?.expect("the free tier has a limit");
    /// client.return_command(counted)?; // it could not be started
    /// let mut commands = 0;
    /// let today = loop {
    ///     match client.count_command() {
    ///         Ok(None) => unreachable!("without a license key there is a limit"),
    ///         Ok(Some(_)) => commands += 1,
    ///         Err(Error::UsedUp(today)) => break today,
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// };
    /// assert_eq!((commands, today.left()), (FREE_COMMANDS_PER_DAY, 0));
    /// assert_eq!(client.commands_today()?.map(|today| today.used), Some(10));
    /// println!("no more before {}", today.next_day_at);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::UsedUp`]; [`Error::File`] when it cannot be counted, because the home folder cannot be written.
    pub fn count_command(&self) -> Result<Option<Allowance>, Error> {
        self.core.command_count().add(&validation::quotas(&self.core)?)
    }

    /// Takes back the count of a command that then could not be started.
    ///
    /// # Errors
    /// [`Error::File`] when the home folder cannot be written.
    pub fn return_command(&self, counted: Allowance) -> Result<(), Error> {
        self.core.command_count().take_back(counted)
    }

    /// Returns the limit and the commands used today, without counting one; `None` without a limit.
    pub fn commands_today(&self) -> Result<Option<Allowance>, Error> {
        self.core.command_count().today(&validation::quotas(&self.core)?)
    }

    /// Acquires a seat: with a license key of the environment, else for the signed-in user, else with the stored license
    /// key.
    ///
    /// While the cloud cannot be reached, the last license token of this machine is used as long as it is valid, and the
    /// cloud is asked for the seat until it answers.
    ///
    /// # Errors
    /// [`Error::NoKey`] without a sign-in and a license key; [`Error::Refused`] when every seat is taken or the license is not active;
    /// [`Error::Unavailable`] when the cloud cannot be reached and no license token serves.
    pub fn acquire(&self) -> Result<Seat, Error> {
        seat::acquire(&self.core)
    }

    /// Returns the seats that this machine holds, without asking the cloud.
    pub fn held_seats(&self) -> Result<Vec<HeldSeat>, Error> {
        seat::held(&self.core)
    }

    /// Releases a seat that any process has [left](Seat::leave). Returns true if the seat is free now: false while a
    /// process of this machine keeps the same session, which then releases it, or if no such seat was left.
    ///
    /// # Errors
    /// When the cloud cannot be reached. The seat then comes free by itself within minutes.
    pub fn release_left(&self, session: SessionId) -> Result<bool, Error> {
        seat::release_left(&self.core, session)
    }

    /// Returns this machine's status, without asking the cloud.
    pub fn status(&self) -> Result<Status, Error> {
        status::read(&self.core)
    }

    /// Begins to sign in with a browser on this machine: open [`BrowserSignIn::url`], then wait in
    /// [`BrowserSignIn::finish`].
    ///
    /// The provider is the one given here, else the one of the last such sign-in, else the cloud's.
    ///
    /// # Errors
    /// [`Error::SignIn`] when there is no provider, or it cannot be used; [`Error::Unavailable`] when the cloud cannot be
    /// asked for one.
    pub fn begin_sign_in(&self, sso: Option<&Sso>) -> Result<BrowserSignIn, Error> {
        sign_in::begin(&self.core, sso)
    }

    /// Begins to sign in with a browser elsewhere, for machines that have none.
    ///
    /// # Errors
    /// Those of [`begin_sign_in`](Self::begin_sign_in), and an error when the provider has no such sign-in.
    pub fn begin_device_sign_in(&self, sso: Option<&Sso>) -> Result<DeviceSignIn, Error> {
        sign_in::begin_on_device(&self.core, sso)
    }

    /// Returns the signed-in user, without a network request.
    ///
    /// # Errors
    /// When the stored sign-in cannot be opened.
    pub fn signed_in(&self) -> Result<Option<SignedIn>, Error> {
        sign_in::who(&self.core)
    }

    /// Returns true if a user is signed in, without opening the stored sign-in.
    ///
    /// # Errors
    /// When other users can read the stored sign-in.
    pub fn is_signed_in(&self) -> Result<bool, Error> {
        sign_in::is_signed_in(&self.core)
    }

    /// Signs the user out, and asks the provider to revoke the refresh token. The stored sign-in is deleted whatever the
    /// provider answers.
    ///
    /// # Errors
    /// When the files cannot be removed.
    pub fn sign_out(&self) -> Result<SignedOut, Error> {
        let _lock = sign_in::lock(&self.core)?;
        let was_signed_in = self.is_signed_in()?;
        let signed_out = sign_in::sign_out(&self.core)?;
        if was_signed_in {
            // Both were given to the user, and not to a license key.
            seat_token::forget(&self.core)?;
            self.core.tokens.forget();
        }
        Ok(signed_out)
    }

    /// Moves the stored secrets (license key, sign-in, tenant key) under a secret in the operating system's keychain, or
    /// out of it into the home folder, and keeps them there from now on. Returns true if the keychain has them now, which needs
    /// a keychain on this machine. Nothing is changed unless all of them can be opened.
    ///
    /// This client keeps the setting that it was built with; the next one has the new setting.
    ///
    /// # Errors
    /// [`Error::Keychain`] when the keychain has them and cannot be asked.
    pub fn use_keychain(&self, on: bool) -> Result<bool, Error> {
        self.core.vault.move_secrets(on, &[license_key::FILE, sign_in::FILE, tenant_key::FILE])
    }

    /// Returns `Ok(Ok(()))` if secrets are kept under the operating system's keychain, else the reason why not.
    ///
    /// # Errors
    /// When the home folder cannot be used.
    pub fn keychain(&self) -> Result<Result<(), KeychainFault>, Error> {
        self.core.vault.keychain()
    }

    /// Returns the context that is kept in this client's home folder, and its sync with this client's cloud.
    pub fn context(&self) -> Context {
        Context::new(&self.core)
    }

    /// Returns the status of the tenant's key. The cloud is asked, and need not answer.
    ///
    /// # Errors
    /// When the key is here and can't be opened.
    pub fn tenant_key(&self) -> Result<KeyStatus, Error> {
        keys::status(&self.core)
    }

    /// Makes the tenant's key, which encrypts everything that is sent from now on, and queues again what the cloud has in
    /// clear. The caller has informed the user of the consequences of losing the key.
    ///
    /// # Errors
    /// When there is a key already, here or on another machine, or the cloud can't be asked whether there is.
    pub fn init_tenant_key(&self) -> Result<KeyTaken, Error> {
        keys::init(&self.core)
    }

    /// Returns the tenant's key for another machine: a text that only the passphrase opens.
    ///
    /// # Errors
    /// When there is no key here, or the passphrase is too short.
    pub fn export_tenant_key(&self, passphrase: &str) -> Result<String, Error> {
        keys::export(&self.core, passphrase)
    }

    /// Takes over the key that another machine has exported, opens locked records, and queues again what the cloud has in
    /// clear.
    ///
    /// # Errors
    /// When the text is no export, the passphrase another one, or the key not the one that the tenant encrypts with.
    pub fn import_tenant_key(&self, text: &str, passphrase: &str) -> Result<KeyTaken, Error> {
        keys::import(&self.core, text, passphrase)
    }

    /// Removes the tenant's key, on this machine alone: after an operator has turned encryption off, or to make room for
    /// another one. Returns its name, if it could still be read. The caller has informed the user of the consequences.
    ///
    /// # Errors
    /// When there is no key here.
    pub fn remove_tenant_key(&self) -> Result<Option<KeyName>, Error> {
        keys::remove(&self.core)
    }

    /// Returns an updater, which finds new versions of this program.
    ///
    /// # Errors
    /// [`UpdateError::NoKey`](crate::UpdateError::NoKey) if this program was built without a key to check them with.
    pub fn updater(&self) -> Result<Updater, Error> {
        Updater::new(&self.core)
    }

    /// Sends the telemetry events that wait, if telemetry is on and the cloud takes it. After a transient failure they stay,
    /// and are sent another time; if an answer was lost, they arrive twice.
    ///
    /// # Errors
    /// When a file can't be read or written, or the cloud can't be asked.
    pub fn send_telemetry(&self) -> Result<(), Error> {
        telemetry_sender::send(&self.core)
    }
}
