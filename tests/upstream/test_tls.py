from __future__ import annotations

import ssl

import pytest

from ccrouter.errors import ConnectFailed
from ccrouter.upstream import tls
from ccrouter.upstream.tls import make_trust


def subjects(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


@pytest.fixture
def bare_system(monkeypatch, tmp_path):
    """A system without any certificate; gives a folder to put some into."""
    (tmp_path / "certs").mkdir()
    paths = ssl.get_default_verify_paths()._replace(cafile="", capath=str(tmp_path / "certs"))
    monkeypatch.setattr(ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.setattr(tls, "_BUNDLES", (str(tmp_path / "bundle.pem"),))
    return tmp_path


def test_certificates_and_names_are_checked_and_old_tls_refused():
    context = make_trust({}).context
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_ssl_cert_file_is_trusted_and_named(bare_system, authority_file):
    trust = make_trust({"SSL_CERT_FILE": authority_file})
    assert subjects(trust.context) == 1
    assert trust.whose == authority_file


def test_ssl_cert_dir_is_trusted_and_named(bare_system):
    assert make_trust({"SSL_CERT_DIR": str(bare_system)}).whose == str(bare_system)


def test_node_extra_ca_certs_adds_to_the_system(bare_system, authority_file):
    trust = make_trust({"NODE_EXTRA_CA_CERTS": authority_file})
    assert subjects(trust.context) > 50
    assert trust.whose.endswith(f" and {authority_file}")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
def test_a_named_file_that_is_missing_is_an_error_that_says_which(variable, tmp_path):
    path = str(tmp_path / "none.pem")
    with pytest.raises(ConnectFailed) as caught:
        make_trust({variable: path})
    assert str(caught.value) == f"{variable}: cannot read {path}: No such file or directory"


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"])
@pytest.mark.parametrize("content", ["", "no certificate\n"])
def test_a_named_file_without_certificates_is_an_error_that_says_which(variable, content, tmp_path):
    path = tmp_path / "odd.pem"
    path.write_text(content)
    with pytest.raises(ConnectFailed) as caught:
        make_trust({variable: str(path)})
    assert str(caught.value) == f"{variable}: {path} holds no certificates in PEM format"


def test_a_folder_of_hashed_certificates_is_the_system_store(bare_system):
    (bare_system / "certs" / "002c0b4f.0").touch()
    assert make_trust({}).whose == "the system's certificates"


def test_a_well_known_bundle_serves_where_openssl_looks_elsewhere(bare_system, authority):
    bundle = bare_system / "bundle.pem"
    authority.cert_pem.write_to_path(str(bundle))
    trust = make_trust({})
    assert (subjects(trust.context), trust.whose) == (1, str(bundle))


def test_certifi_serves_where_the_system_has_none(bare_system):
    trust = make_trust({})
    assert subjects(trust.context) > 50
    assert "certifi" in trust.whose
