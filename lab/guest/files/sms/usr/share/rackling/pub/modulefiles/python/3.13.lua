help("Python 3.13, as Debian builds it")
whatis("Name: Python")
family("python")
prepend_path("PATH", "/opt/ohpc/pub/software/python/3.13/bin")
