"""The commands that bring what a device lacks: for a Jetson, for Debian and Ubuntu, or with pip alone."""

from dataclasses import dataclass

from segrt.runtime.doctor.facts import Facts

_SEE_SYSTEM = "s/^include-system-site-packages *=.*/include-system-site-packages = true/"


@dataclass(frozen=True)
class Remedy:
    """A command to run, and what it does."""

    command: str
    why: str


Remedies = tuple[Remedy, ...]


def tensorrt(facts: Facts) -> Remedies:
    """Bring TensorRT's Python package into reach: JetPack's on a Jetson, else the registry's."""
    if facts.kind == "jetson":
        return _jetpack_tensorrt(facts)
    if "cannot open shared object file" in str(facts.tensorrt.get("error", "")):
        return (
            Remedy(_pip(facts, f"--force-reinstall tensorrt-cu{facts.cuda_major or 12}"), "brings its libraries back"),
        )
    package = f"tensorrt-cu{facts.cuda_major or 12}"
    remedies = [
        Remedy(_pip(facts, f"'{package}>=10.3,<12'"), "TensorRT; its libraries come from NVIDIA's own package index")
    ]
    if facts.python.get("machine") == "x86_64":
        remedies.append(
            Remedy(_pip(facts, "tensorrt-rtx"), "or, on a GeForce RTX or RTX PRO: TensorRT-RTX, much smaller")
        )
    return tuple(remedies)


def _jetpack_tensorrt(facts: Facts) -> Remedies:
    remedies = []
    if not facts.system_tensorrt:
        install = "sudo apt-get update && sudo apt-get install -y nvidia-jetpack"
        remedies.append(Remedy(install, "JetPack's CUDA, TensorRT and their Python packages"))
    wanted = _version_of(facts.system_tensorrt) or ((3, 10) if facts.jetpack.startswith("6") else (3, 12))
    if facts.python_version != wanted:
        text = f"{wanted[0]}.{wanted[1]}"
        remedies.append(
            Remedy(
                f"/usr/bin/python{text} -m venv --system-site-packages ~/segrt && ~/segrt/bin/pip install segrt",
                f"JetPack's TensorRT is for Python {text}, this is "
                f"{facts.python_version[0]}.{facts.python_version[1]}: use that one",
            )
        )
    elif facts.python.get("in_virtualenv") and not facts.python.get("sees_system_packages"):
        remedies.append(_see_system_packages(facts, "JetPack's TensorRT"))
    if not remedies:
        remedies.append(
            Remedy("sudo apt-get install --reinstall -y python3-libnvinfer", "TensorRT's Python package, once more")
        )
    return tuple(remedies)


def rtx(facts: Facts) -> Remedies:
    """Bring a builder that needs no GPU, where there is one."""
    if facts.python.get("machine") != "x86_64":
        return ()
    return (Remedy(_pip(facts, "tensorrt-rtx"), "builds engines for RTX GPUs, and checks networks, without a GPU"),)


def cuda_python(facts: Facts) -> Remedies:
    """Bring the CUDA bindings that fit the driver."""
    major = facts.cuda_major
    own_kernel = not facts.in_container and "/dev/dxg" not in facts.gpu_files  # WSL's driver is that of Windows
    if facts.kind == "debian" and not facts.driver and own_kernel:
        command = "sudo ubuntu-drivers install" if "Ubuntu" in facts.system else "sudo apt-get install -y nvidia-driver"
        return (Remedy(command, "NVIDIA's kernel driver; restart afterwards"),)
    bounds = f">={major},<{major + 1}" if major else ">=12.6"
    return (Remedy(_pip(facts, f"'cuda-python{bounds}'"), "CUDA from Python, for the CUDA of this driver"),)


def container(facts: Facts) -> Remedies:  # noqa: ARG001 (all remedies are alike)
    """Let a container see the GPU."""
    return (Remedy("docker run --gpus all ...", "or --runtime nvidia on a Jetson: starts the container with the GPU"),)


def one_ort(facts: Facts) -> Remedies:
    """Leave one of the two ONNX Runtimes."""
    package = "onnxruntime-gpu" if facts.has_gpu and facts.kind != "jetson" else "onnxruntime"
    remove = f"{_python(facts)} -m pip uninstall -y onnxruntime onnxruntime-gpu"
    return (Remedy(f"{remove} && {_pip(facts, package)}", "they share a folder, and only one may be there"),)


def install_ort(facts: Facts) -> Remedies:
    """Bring ONNX Runtime."""
    return (Remedy(_pip(facts, "--force-reinstall onnxruntime"), "executes networks on the CPU"),)


def ort_gpu(facts: Facts) -> Remedies:
    """Bring ONNX Runtime with CUDA in place of the one without."""
    if facts.kind == "jetson":
        return ()  # the registry has none for aarch64; TensorRT is the way on a Jetson
    remove = f"{_python(facts)} -m pip uninstall -y onnxruntime"
    return (
        Remedy(f"{remove} && {_pip(facts, 'onnxruntime-gpu')}", "ONNX Runtime with CUDA instead of the one without"),
    )


def ort_libraries(facts: Facts) -> Remedies:
    """Bring the libraries that onnxruntime-gpu loads."""
    return (Remedy(_pip(facts, "'onnxruntime-gpu[cuda,cudnn]'"), "the CUDA and cuDNN libraries that it loads"),)


def opencv(facts: Facts) -> Remedies:
    """Bring OpenCV; on a Jetson JetPack's own would do, too."""
    if "libGL" in str(facts.opencv.get("error", "")):
        remove = f"{_python(facts)} -m pip uninstall -y opencv-python"
        return (
            Remedy(f"{remove} && {_pip(facts, 'opencv-python-headless')}", "the build that needs no display libraries"),
        )
    return pip(facts, "opencv-python-headless", "resizes and draws")


def gstreamer(facts: Facts) -> Remedies:
    """Bring GStreamer and its Python package, which is the system's."""
    remedies = []
    missing = "No module named" in str(facts.gstreamer.get("error", ""))
    hidden = facts.python.get("in_virtualenv") and not facts.python.get("sees_system_packages")
    if facts.kind in ("jetson", "debian"):
        packages = "python3-gi gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
        remedies.append(Remedy(f"sudo apt-get install -y {packages}", "GStreamer, and the way to it from Python"))
    if missing and hidden:
        remedies.append(_see_system_packages(facts, "python3-gi"))
    return tuple(remedies)


def rtsp_server(facts: Facts) -> Remedies:
    """Bring GStreamer's RTSP server."""
    if facts.kind not in ("jetson", "debian"):
        return ()
    packages = "python3-gi gir1.2-gst-rtsp-server-1.0 gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base"
    more = "gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
    return (Remedy(f"sudo apt-get install -y {packages} {more}", "serves video over RTSP to several readers"),)


def jetson_gstreamer(facts: Facts) -> Remedies:  # noqa: ARG001 (all remedies are alike)
    """Bring Jetson's own elements."""
    return (Remedy("sudo apt-get install -y nvidia-l4t-gstreamer", "Jetson's cameras and codecs in GStreamer"),)


def reinstall(facts: Facts) -> Remedies:
    """Install segrt's compiled part again."""
    return (Remedy(_pip(facts, "--force-reinstall --no-deps segrt"), "the compiled post-processing, once more"),)


def kernels(facts: Facts) -> Remedies:
    """Install segrt with its CUDA kernels."""
    return (Remedy(_pip(facts, "--force-reinstall --no-deps segrt"), "a wheel of segrt, which has the kernels"),)


def extra(facts: Facts, name: str, why: str) -> Remedies:
    """Bring an extra of segrt."""
    return (Remedy(_pip(facts, f"'segrt[{name}]'"), why),)


def pip(facts: Facts, package: str, why: str) -> Remedies:
    """Bring a package of the registry."""
    return (Remedy(_pip(facts, package), why),)


def _see_system_packages(facts: Facts, what: str) -> Remedy:
    return Remedy(
        f"sed -i '{_SEE_SYSTEM}' {facts.python.get('prefix', '.venv')}/pyvenv.cfg",
        f"lets this virtual environment see {what}, which is the system's "
        "(a new one: python3 -m venv --system-site-packages DIR)",
    )


def _version_of(paths: tuple[str, ...]) -> tuple[int, int] | None:
    """Return the Python that a package of the system is for, by the folder: /usr/lib/python3.10/dist-packages."""
    for path in paths:
        name = path.split("/")[3] if path.count("/") > 3 else ""
        if name.startswith("python3."):
            return 3, int(name.removeprefix("python3."))
    return None


def _python(facts: Facts) -> str:
    return str(facts.python.get("executable") or "python3")


def _pip(facts: Facts, what: str) -> str:
    return f"{_python(facts)} -m pip install {what}"
