"""A bundle that a server executes: its manifest is known here, its files are not."""

from dataclasses import dataclass
from pathlib import Path

from segrt.runtime.bundle.bundle import Bundle
from segrt.runtime.bundle.manifest import File, Variant
from segrt.runtime.decode.rule_changes import RuleChanges
from segrt.runtime.errors import BackendError, BundleError
from segrt.runtime.remote.address import Address, read_address
from segrt.runtime.remote.description import ServedBundle
from segrt.runtime.remote.rule_parameters import BUNDLE, to_parameters
from segrt.runtime.remote.served_connection import Server
from segrt.runtime.remote.triton_backend import TritonBackend


@dataclass(frozen=True)
class RemoteBundle(Bundle):
    """A bundle on a server; `folder` is only what errors call it."""

    address: Address
    served: ServedBundle

    @property
    def is_here(self) -> bool:
        """False: they are the server's."""
        return False

    @property
    def where(self) -> str:
        """Its address."""
        return self.address.shown

    def path(self, file: File) -> Path:
        """Raise BundleError: there are no files."""
        raise BundleError(f"{self.address.shown}: {file.path} is on the server; give the bundle's own folder for this")

    @property
    def precisions(self) -> tuple[str, ...]:
        """The one that the server executes."""
        return (self.served.description.precision,)

    def variant(self, precision: str | None = None) -> Variant:
        """Return the variant that the server executes; raise BundleError where another is asked for."""
        served = self.served.description.precision
        if precision not in (None, served):
            raise BundleError(
                f"{self.address.shown}: serves {served} alone, but --precision is {precision}; leave it out, or export "
                "the model again with that"
            )
        return self.served.variant

    def connected(self, *, batch: int, changes: RuleChanges) -> TritonBackend:
        """Connect anew and return the backend; raise BackendError where the server has changed or is gone."""
        server = Server(self.address)
        try:
            served = server.described()
            digest = self.served.description.digest
            if served.description.digest != digest:
                raise BackendError(f"{self.address.shown}: serves another bundle than a moment ago; open it again")
            parameters = {BUNDLE: digest, **to_parameters(changes)}
            return TritonBackend(server, served, batch=batch, parameters=parameters)
        except BaseException:
            server.close()
            raise


def find_remote(text: str) -> RemoteBundle:
    """Return the bundle at an address; raise BackendError or BundleError where there is none that can be used."""
    address = read_address(text)
    server = Server(address)
    try:
        served = server.described()
    finally:
        server.close()
    return RemoteBundle(Path(address.shown), served.manifest, address, served)
