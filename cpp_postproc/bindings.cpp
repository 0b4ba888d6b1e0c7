#include <pybind11/pybind11.h>

PYBIND11_MODULE(_postproc, module) { module.doc() = "segrt's post-processing core"; }
