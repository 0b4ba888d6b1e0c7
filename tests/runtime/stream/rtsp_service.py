"""GStreamer's RTSP server on this machine, for scripts that are cameras or that are pushed to."""

import gi

gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, GstRtspServer  # noqa: E402 (its version is asked for first)


def serve(factory, port, path, user=""):
    """Serve `factory` at rtsp://127.0.0.1:PORT/PATH, to `user` (USER:PASSWORD) alone where there is one, for ever.

    Says "serving" when it does. GStreamer has been started: `gi` is found by that.
    """
    server = GstRtspServer.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(str(port))
    if user:
        auth = GstRtspServer.RTSPAuth.new()
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", "user")
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*user.split(":")), token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    print("serving", flush=True)
    GLib.MainLoop().run()
