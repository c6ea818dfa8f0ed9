// A file that is dropped, chosen or pasted is sent as it is, byte by byte; a photo as a PNG.
const input = element.querySelector('input');
const video = element.querySelector('video');
const camera = element.querySelector('.fl-camera');
const words = element.querySelector('.fl-words');
const picker = element.querySelector('.fl-picker');
const most = props.most_bytes;

const say = (text) => { words.textContent = text; };

const send = (file) => {
  if (!file) return;
  if (file.size > most) {
    say(`This file has ${(file.size / 2 ** 20).toFixed(1)} MiB; the limit is ${(most / 2 ** 20).toFixed(1)} MiB.`);
    return;
  }
  const reader = new FileReader();
  reader.onerror = () => say('The browser cannot read this file.');
  reader.onload = () => {
    say(file.name || '');
    props.value = { data: reader.result };
    trigger('picked');
  };
  reader.readAsDataURL(file);
};

const stop = () => {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
  camera.hidden = true;
};

const start = async () => {
  if (!navigator.mediaDevices) {
    say('The browser lends its camera only to this machine itself, or over https.');
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    camera.hidden = false;
    say('');
  } catch (error) {
    say(`There is no camera to use: ${error.message}`);
  }
};

const shoot = () => {
  if (!video.videoWidth) return;
  const canvas = document.createElement('canvas');
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext('2d').drawImage(video, 0, 0);
  stop();
  canvas.toBlob(send, 'image/png');
};

const actions = { choose: () => input.click(), camera: start, shoot, cancel: stop };
element.addEventListener('click', (event) => actions[event.target.dataset.do]?.());
input.addEventListener('change', () => { send(input.files[0]); input.value = ''; });

for (const kind of ['dragover', 'dragleave', 'drop']) {
  picker.addEventListener(kind, (event) => {
    event.preventDefault();
    picker.classList.toggle('is-over', kind === 'dragover');
    if (kind === 'drop') send(event.dataTransfer.files[0]);
  });
}
document.addEventListener('paste', (event) => {
  if (element.offsetParent !== null) send(event.clipboardData?.files[0]);
});
