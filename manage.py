#!/usr/bin/env python
"""Every command of the desk: `./mem COMMAND` runs this file in the desk's environment."""

import os
import sys

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "algotrendy.settings")
    from algotrendy.command_line import main

    main(sys.argv)
