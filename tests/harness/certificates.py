"""Certificates for tests, made by the openssl command: authorities, and what they sign."""
import os
import subprocess
import tempfile

KEYS = {"rsa": ["rsa:2048"], "rsa1024": ["rsa:1024"], "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]}


def openssl(*arguments, text=""):
    done = subprocess.run(["openssl", *arguments], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


class Pair:
    """A certificate and its key, in PEM. Without `by` it has signed itself."""

    def __init__(self, name, key="rsa", by=None, names=(), authority=False, days=30, ended=False, purpose="serverAuth"):
        with tempfile.TemporaryDirectory() as where:
            def at(file):
                return os.path.join(where, file)

            with open(at("extensions"), "w", encoding="ascii") as file:
                file.write("basicConstraints=critical,CA:" + ("TRUE" if authority else "FALSE") + "\n")
                file.write("keyUsage=critical," + ("keyCertSign,cRLSign" if authority else "digitalSignature,keyEncipherment") + "\n")
                if not authority:
                    file.write(f"extendedKeyUsage={purpose}\n")
                if names:
                    file.write("subjectAltName=" + ",".join("DNS:" + n for n in names) + "\n")
            openssl("req", "-newkey", *KEYS[key], "-nodes", "-keyout", at("key"), "-out", at("request"), "-subj", f"/O=Tests/CN={name}")
            if by:
                with open(at("by"), "w", encoding="ascii") as file:
                    file.write(by.certificate + by.key)
                signer = ["-CA", at("by"), "-CAkey", at("by"), "-CAcreateserial", "-CAserial", at("serial")]
            else:
                signer = ["-signkey", at("key")]
            openssl("x509", "-req", "-in", at("request"), *signer, "-days", str(-1 if ended else days), "-extfile", at("extensions"),
                    "-out", at("certificate"))
            with open(at("key"), encoding="ascii") as file:
                self.key = file.read()
            with open(at("certificate"), encoding="ascii") as file:
                self.certificate = file.read()

    def locked_key(self):
        return openssl("pkcs8", "-topk8", "-passout", "pass:secret", text=self.key)


def revoked(authority, *pairs):
    """What the authority has revoked, as a list in PEM."""
    with tempfile.TemporaryDirectory() as where:
        files = {"by": authority.certificate + authority.key, "serials": "01\n", "settings": f"[ca]\ndefault_ca=c\n[c]\ndatabase={where}/index\n"
                 f"crlnumber={where}/serials\ndefault_md=sha256\ndefault_crl_days=30\n",
                 "index": "".join(f"R\t401231235959Z\t250101000000Z\t{says(p.certificate, '-serial').split('=')[1]}\tunknown\t/CN=x\n" for p in pairs)}
        for name, text in files.items():
            with open(os.path.join(where, name), "w", encoding="ascii") as file:
                file.write(text)
        return openssl("ca", "-gencrl", "-config", where + "/settings", "-cert", where + "/by", "-keyfile", where + "/by")


def says(pem, *what):
    """What the openssl command says of a certificate: says(pem, "-subject")."""
    return openssl("x509", "-noout", *what, text=pem).strip()


def verifies(pem, authority):
    """Does the openssl command take the certificate with this authority?"""
    with tempfile.NamedTemporaryFile("w") as root:
        root.write(authority)
        root.flush()
        return subprocess.run(["openssl", "verify", "-CAfile", root.name], input=pem, capture_output=True, text=True, check=False).returncode == 0
