help("NumPy: arrays and linear algebra for Python")
whatis("Name: NumPy for Python 3")
depends_on("python")
local place = "/opt/ohpc/pub/software/numpy/2.2.4"
prepend_path("PYTHONPATH", place)
prepend_path("LD_LIBRARY_PATH", place .. "/lib")
setenv("NUMPY_DIR", place)
