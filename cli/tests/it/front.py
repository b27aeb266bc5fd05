"""Speaks TLS in front of a server that doesn't: front.py CERTIFICATE KEY VERSION ADDRESS BACKEND_PORT. Prints its port.

The certificate is read anew for each connection, so that it can be changed. VERSION is the newest TLS that is spoken.
"""

import socket
import ssl
import sys
import threading
import warnings

warnings.simplefilter("ignore", DeprecationWarning)  # old versions of TLS are what is tried here
certificate, key, version, address, backend = sys.argv[1:]


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def serve(client):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = getattr(ssl.TLSVersion, version)
    context.load_cert_chain(certificate, key)
    try:
        secure = context.wrap_socket(client, server_side=True)
    except (OSError, ssl.SSLError):
        client.close()
        return
    plain = socket.create_connection(("127.0.0.1", int(backend)))
    back = threading.Thread(target=pump, args=(plain, secure), daemon=True)
    threading.Thread(target=pump, args=(secure, plain), daemon=True).start()
    back.start()
    back.join()
    secure.close()
    plain.close()


listener = socket.create_server((address, 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
