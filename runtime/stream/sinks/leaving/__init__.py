"""The annotated video on its way to others: encoded once, served over RTSP, pushed to a server, or cut into HLS."""
