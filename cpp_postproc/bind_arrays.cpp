#include "bind_arrays.h"

#include <limits>
#include <stdexcept>

#include "thread_pool.h"

namespace segrt {
namespace {

FloatType float_type(const py::array& array, const char* name, const char* shape) {
    if (py::isinstance<FloatArray>(array)) {
        return FloatType::float32;
    }
    const py::dtype dtype = array.dtype();
    if (dtype.kind() == 'f' && dtype.itemsize() == 2 && dtype.byteorder() == '=') {
        return FloatType::float16;
    }
    refuse(name, std::string("float32 or float16 with shape ") + shape, array);
}

}  // namespace

void refuse(const std::string& name, const std::string& wanted, const py::array& array) {
    throw std::invalid_argument(name + " must be " + wanted + ", but got " +
                                std::string(py::str(static_cast<py::object>(array.dtype()))) + " " +
                                std::string(py::str(array.attr("shape"))));
}

FloatStack float_stack(const py::array& array, const char* name, const char* shape) {
    const FloatType type = float_type(array, name, shape);
    if (array.ndim() != 3) {
        refuse(name, std::string("float32 or float16 with shape ") + shape, array);
    }
    return {static_cast<const std::byte*>(array.data()),           type, array.shape(0), array.shape(1), array.shape(2),
            {array.strides(0), array.strides(1), array.strides(2)}};
}

FloatTable float_table(const py::array& array, const char* name, const char* shape) {
    const FloatType type = float_type(array, name, shape);
    if (array.ndim() != 2) {
        refuse(name, std::string("float32 or float16 with shape ") + shape, array);
    }
    return {static_cast<const std::byte*>(array.data()),
            type,
            array.shape(0),
            array.shape(1),
            {array.strides(0), array.strides(1)}};
}

MaskStack mask_stack(const py::array& array, const char* name) {
    const py::dtype dtype = array.dtype();
    if (array.ndim() != 3 || dtype.itemsize() != 1 || (dtype.kind() != 'b' && dtype.kind() != 'u')) {
        refuse(name, "bool or uint8 with shape (N, h, w)", array);
    }
    return {static_cast<const std::uint8_t*>(array.data()),
            array.shape(0),
            array.shape(1),
            array.shape(2),
            {array.strides(0), array.strides(1), array.strides(2)}};
}

ClassMap class_map(const py::array& array, const char* name) {
    const py::dtype dtype = array.dtype();
    const bool whole = (dtype.kind() == 'u' && dtype.itemsize() <= 2) ||
                       (dtype.kind() == 'i' && (dtype.itemsize() == 4 || dtype.itemsize() == 8));
    if (array.ndim() != 2 || !whole) {
        refuse(name, "uint8, uint16, int32 or int64 with shape (H, W)", array);
    }
    return {static_cast<const std::byte*>(array.data()),
            dtype.itemsize(),
            array.shape(0),
            array.shape(1),
            {array.strides(0), array.strides(1)}};
}

std::uint8_t* writable_pictures(py::array& array, const char* name, Index count) {
    if (array.ndim() != 3 || array.dtype().itemsize() != 1 || !(array.flags() & py::array::c_style) ||
        !array.writeable() || array.shape(0) != count) {
        refuse(name, "writable bool with shape (N, H, W), contiguous", array);
    }
    return static_cast<std::uint8_t*>(array.mutable_data());
}

Size checked_size(SizeTuple size) {
    const auto [height, width] = size;
    constexpr Index kMost = 1 << 20;
    if (height < 1 || width < 1 || height > kMost || width > kMost ||
        height * width > std::numeric_limits<std::int32_t>::max()) {
        throw std::invalid_argument(
            "size must be (height, width), each at least 1 and together below 2**31 pixels, but got (" +
            std::to_string(height) + ", " + std::to_string(width) + ")");
    }
    return {height, width};
}

int checked_threads(int threads) {
    if (threads < 0 || threads > 256) {
        throw std::invalid_argument("threads must be between 0 and 256, but got " + std::to_string(threads));
    }
    return threads == 0 ? default_threads() : threads;
}

std::optional<Window> checked_window(const WindowTuple& window) {
    if (!window) {
        return std::nullopt;
    }
    const auto [top, left, bottom, right] = *window;
    if (!(top >= 0 && left >= 0 && bottom > top && right > left && bottom < 1e9 && right < 1e9)) {
        throw std::invalid_argument(
            "window must be (top, left, bottom, right) with 0 <= top < bottom and 0 <= left < right");
    }
    return Window{{top, bottom}, {left, right}};
}

py::list bytes_list(const Codes& codes) {
    py::list list;
    for (const std::string& code : codes) {
        list.append(py::bytes(code));
    }
    return list;
}

}  // namespace segrt
