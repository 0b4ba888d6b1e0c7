"""Where one process is too little: bundles as a server's models (`triton`), archives on many workers (`archive`)."""
