import sys
import warnings

from tests.client.scenarios import SCENARIOS

warnings.simplefilter("error")
SCENARIOS[sys.argv[1]](sys.argv[2])
assert "gevent" not in sys.modules
