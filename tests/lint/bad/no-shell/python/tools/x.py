# SPDX-License-Identifier: LGPL-2.1-or-later
import subprocess
subprocess.run("ls", shell=True)
