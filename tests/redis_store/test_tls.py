"""TLS, with certificates of the tests' own."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from stores import counts, event, numbers

from papyra import StoreIOError, StoreURLError, open_counters, open_store
from servers import Server, running_redis


class Secured(NamedTuple):
    """A server that speaks TLS, and who vouches for it."""

    server: Server
    ca: Path
    client: Path


@pytest.fixture(scope="module", params=["no", "yes"], ids=["server", "mutual"])
def secured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    """Debian's server, whose certificate the tests signed; it may want to see the client's."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    ca, served, client = (directory / f"{name}.pem" for name in ("ca", "server", "client"))
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(served))
    authority.issue_cert("me").private_key_and_cert_chain_pem.write_to_path(str(client))
    files = ("--tls-cert-file", served, "--tls-key-file", served, "--tls-ca-cert-file", ca)
    options = (*map(str, files), "--tls-auth-clients", request.param)
    with running_redis("debian", directory, *options, tls=True) as server:
        yield Secured(server, ca, client)


def url(secured: Secured, **options: object) -> str:
    text = "&".join(f"{name}={value}" for name, value in options.items())
    return f"rediss://127.0.0.1:{secured.server.port}?{text}".removesuffix("?")


def test_a_store_over_tls(secured: Secured) -> None:
    address = url(secured, ca=secured.ca, cert=secured.client)
    with open_store(address) as store:
        store.append(event(1))
        assert numbers(store.read())[-1:] == [1]
        store.metrics.reset()
    assert open_counters(address).reset()["records_written"] == 1
    assert open_counters(address).read().snapshot() == counts()


def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Secured) -> None:
    with pytest.raises(StoreIOError, match="name the file of its CA as ca="):
        open_store(url(secured))
    stranger = secured.ca.with_name("stranger.pem")
    trustme.CA().cert_pem.write_to_path(str(stranger))
    with pytest.raises(StoreIOError, match="name the file of its CA as ca="):
        open_store(url(secured, ca=stranger))


def test_a_certificate_of_another_host_is_refused(secured: Secured) -> None:
    with pytest.raises(StoreIOError, match=r"(?i)hostname mismatch|doesn't match|not valid for"):
        open_store(
            url(secured, ca=secured.ca, cert=secured.client).replace("127.0.0.1", "localhost")
        )


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_files_are_for_tls_and_must_be_there(tmp_path: Path, name: str) -> None:
    for use in (open_store, open_counters):
        with pytest.raises(StoreURLError, match="must be the path of a file that exists"):
            use(f"rediss://h?{name}={tmp_path / 'missing'}")
        with pytest.raises(StoreURLError, match=f"{name} is an option of rediss: alone"):
            use(f"redis://h?{name}=x")


def test_a_server_without_tls_is_not_spoken_to(server: Server) -> None:
    hint = "did not reply.*; if the server does not use TLS, write redis:// for rediss://$"
    with pytest.raises(StoreIOError, match=hint):
        open_store(f"rediss://127.0.0.1:{server.port}")


def test_a_server_with_tls_is_hinted_at_where_it_is_spoken_to_without(secured: Secured) -> None:
    plain = url(secured).partition("?")[0].replace("rediss:", "redis:")
    hint = "did not reply.*; if the server uses TLS, write rediss:// for redis://$"
    with pytest.raises(StoreIOError, match=hint):
        open_store(plain)
