"""Keys and certificates, and the order in which the host receives them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from paramiko import AuthenticationException, PasswordRequiredException

from dockmesh.error_codes import UsageCode
from dockmesh.errors import UsageError
from dockmesh.remote.ssh.identity import Identity, LoginRefusedError
from dockmesh.remote.ssh.keys import Keys
from dockmesh.remote.ssh.secret import Secret


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without keys, and no agent."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return tmp_path


def key(file: Path, passphrase: str = "", kind: str = "ed25519", form: str = "RFC4716") -> Path:
    subprocess.run(("ssh-keygen", "-q", "-t", kind, "-m", form, "-N", passphrase, "-f", file), check=True)
    return file


def signed(file: Path, authority: Path) -> bytes:
    """Sign the key. The certificate is in a file beside it; returns its content."""
    subprocess.run(("ssh-keygen", "-q", "-s", authority, "-I", "x", "-n", "root", f"{file}.pub"), check=True)
    return Path(f"{file}-cert.pub").read_bytes()


class Far:
    """A host that rejects every key, and the kinds of keys that it received."""

    def __init__(self) -> None:
        self.kinds: list[str] = []

    def auth_publickey(self, _user: str, offered: Any) -> list[str]:
        self.kinds.append(offered.public_blob.key_type if offered.public_blob else offered.get_name())
        raise AuthenticationException("no")

    def is_active(self) -> bool:
        return True


@pytest.mark.parametrize(("kind", "form"), [("ed25519", "RFC4716"), ("ecdsa", "RFC4716"), ("rsa", "PEM")])
def test_a_passphrase_is_requested_once_and_unlocks_the_key(home: Path, kind: str, form: str) -> None:
    file, asked = key(home / "id", "open sesame", kind, form), []
    keys = Keys()
    assert keys.of(file) is None

    def ask(question: str) -> Secret:
        asked.append(question)
        return Secret("open sesame")

    for _ in range(2):
        keys.unlock(file, ask)
    assert keys.of(file) is not None
    assert asked == [f"passphrase of {file}"]


def test_a_wrong_passphrase_is_an_error_of_the_call(home: Path) -> None:
    with pytest.raises(UsageError, match=str(home / "id")) as caught:
        Keys().unlock(key(home / "id", "open sesame"), lambda _question: Secret("wrong"))
    assert caught.value.code == UsageCode.WRONG_PASSPHRASE


def test_plain_and_missing_keys_need_no_passphrase(home: Path) -> None:
    keys = Keys()
    for file in (key(home / "id"), home / "none"):
        keys.unlock(file, pytest.fail)


def test_the_error_names_a_locked_key_if_the_host_rejects_the_others(home: Path) -> None:
    file, far = key(home / "id", "open sesame"), Far()
    transport: Any = far
    with pytest.raises(PasswordRequiredException, match=str(file)):
        Identity(Keys(), "root", files=[file, key(home / "other")]).authenticate(transport)
    assert far.kinds == ["ssh-ed25519"]


def test_keys_are_offered_in_order_each_after_its_certificate(home: Path) -> None:
    files = [key(home / "one"), home / "none", key(home / "two", kind="ecdsa")]
    signed(files[0], key(home / "authority"))
    far: Any = Far()
    with pytest.raises(LoginRefusedError) as caught:
        Identity(Keys(), "root", "h", 2222, files).authenticate(far)
    assert far.kinds == ["ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519", "ecdsa-sha2-nistp256"]
    error = caught.value
    assert (error.user, error.host, error.port, error.file) == ("root", "h", 2222, files[0])
    assert len(error.offered) == 3
    assert all(str(file) in name for file, name in zip((files[0], files[0], files[2]), error.offered, strict=True))


def test_a_certificate_may_be_in_another_folder(home: Path) -> None:
    file = key(home / "one")
    signed(file, key(home / "authority"))
    elsewhere = Path(f"{file}-cert.pub").rename(home / "elsewhere")
    offered = list(Identity(Keys(), "root", files=[file], certificates=[elsewhere, home / "none"]).offered())
    assert [each.key.public_blob is not None for each in offered] == [True, False]


def test_without_a_named_key_the_default_keys_are_offered(home: Path) -> None:
    (home / ".ssh").mkdir()
    key(home / ".ssh" / "id_ed25519")
    assert len(list(Identity(Keys(), "root").offered())) == 1


def test_a_key_that_is_accepted_as_one_of_several_methods_ends_the_login(home: Path) -> None:
    class Further(Far):
        def auth_publickey(self, _user: str, offered: Any) -> list[str]:
            self.kinds.append(offered.get_name())
            return ["password"]

    far: Any = Further()
    with pytest.raises(LoginRefusedError) as caught:
        Identity(Keys(), "root", files=[key(home / "one"), key(home / "two")]).authenticate(far)
    assert (len(far.kinds), caught.value.more) == (1, ("password",))
